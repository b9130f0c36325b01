/* Who and what is on the stage: actors, clothes, things, and the names of their colours.
 *
 * Bodies, palettes of clothes and layouts of places are numbered; each split of the data owns a
 * range of these numbers, so that what is tested was never trained on. */
#ifndef CLV_CLI_STAGE_CAST_H
#define CLV_CLI_STAGE_CAST_H

#include "cli/stage/random.h"
#include "cli/stage/raster.h"

enum stage_split { STAGE_TRAIN, STAGE_VALIDATION, STAGE_TEST, STAGE_SPLITS };

/* The numbers first … first + count - 1 of a pool. */
struct stage_pool {
    int first, count;
};
#define STAGE_POOL 1024
struct stage_pool stage_split_pool(enum stage_split split);
const char *stage_split_name(enum stage_split split);

enum stage_actor_kind {
    STAGE_MAN,
    STAGE_WOMAN,
    STAGE_BOY,
    STAGE_GIRL,
    STAGE_ROBOT,
    STAGE_ACTOR_KINDS
};

enum stage_hue {
    STAGE_RED,
    STAGE_ORANGE,
    STAGE_YELLOW,
    STAGE_GREEN,
    STAGE_BLUE,
    STAGE_PURPLE,
    STAGE_PINK,
    STAGE_BROWN,
    STAGE_WHITE,
    STAGE_BLACK,
    STAGE_HUES
};
const char *stage_hue_name(enum stage_hue hue);

enum stage_garment {
    STAGE_SHIRT,
    STAGE_COAT,
    STAGE_SWEATER,
    STAGE_DRESS,
    STAGE_METAL,
    STAGE_GARMENTS
};
const char *stage_garment_name(enum stage_garment garment);

/* Lengths in metres. */
struct stage_actor {
    enum stage_actor_kind kind;
    enum stage_garment garment;
    enum stage_hue hue; /* of the garment; of all of a robot */
    int body, palette;  /* numbers of the pools */
    float height, head, torso, neck, thigh, shin, upper_arm, forearm, shoulder, pelvis;
    float thickness; /* radius of a thigh */
    struct stage_colour skin, hair, cloth, sleeve, legs, shoes;
    bool has_long_hair, has_bare_shins, is_old;
};

/* Draws body, clothes and palette from the pools of the split. */
void stage_cast_actor(struct stage_actor *out, struct stage_random *random, enum stage_split split);
/* The shade of a named colour that a palette has. */
struct stage_colour stage_palette_colour(int palette, enum stage_hue hue);

#endif
