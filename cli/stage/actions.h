/* The one table of actions: how each moves, what it needs, and the words for it. */
#ifndef CLV_CLI_STAGE_ACTIONS_H
#define CLV_CLI_STAGE_ACTIONS_H

#include <stdbool.h>

/* What an action is done with, or what acts. */
enum stage_prop {
    STAGE_NOTHING,
    STAGE_BALL,
    STAGE_BOX,
    STAGE_BOOK,
    STAGE_BAG,
    STAGE_BALLOON,
    STAGE_CAR,
    STAGE_HAT,
    STAGE_FLAG,
    STAGE_DOOR,
    STAGE_CHEST,
    STAGE_CABINET,
    STAGE_WHEEL,
    STAGE_CART,
    STAGE_LAMP,
    STAGE_BLOCKS,
    STAGE_GLASS,
    STAGE_PLATE,
    STAGE_PLANT,
    STAGE_CURTAINS,
    STAGE_PROPS
};
#define STAGE_PROP(prop) (1u << (prop))

enum stage_action_flags {
    STAGE_CYCLE = 1,    /* repeats; otherwise goes from one state to another once */
    STAGE_CHIRAL = 2,   /* its name says left, right or a sense of turning: never mirrored */
    STAGE_ALONE = 4,    /* the prop itself acts, no person is seen */
    STAGE_TOGETHER = 8, /* two people */
    STAGE_ASIDE = 16,   /* happens in front of the person: the camera aims there */
};

struct stage_scene;
typedef void stage_move(struct stage_scene *scene);

struct stage_action {
    const char *name;   /* verb phrase in its base form, unique: "sit down" */
    const char *title;  /* the class name: "sitting down" */
    const char *mirror; /* name of the action that is this one backwards, or NULL */
    stage_move *move;   /* NULL: the mirror's, backwards */
    unsigned flags, props;
    float extent; /* metres that the camera sees from bottom to top */
    /* Alternatives separated by '|'; {o} is the object. A phrase begins with its verb. */
    const char *phrases;
    const char *steps; /* three sub-actions in gerund form */
    const char *parts; /* the parts of the body that take part */
};

int stage_action_count(void);
const struct stage_action *stage_action_at(int action);
/* -1: there is none. Accepts the name or the title. */
int stage_action_find(const char *name);
/* The action that is this one backwards, or -1. */
int stage_action_pair(int action);
/* "box"; "" for nothing. */
const char *stage_prop_name(enum stage_prop prop);

#endif
