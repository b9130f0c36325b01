/* Places: what is behind the actors. A place's layout is a number of the pool. */
#ifndef CLV_CLI_STAGE_PLACE_H
#define CLV_CLI_STAGE_PLACE_H

#include "cli/stage/raster.h"

enum stage_place_kind {
    STAGE_KITCHEN,
    STAGE_STREET,
    STAGE_PARK,
    STAGE_OFFICE,
    STAGE_BEACH,
    STAGE_GYM,
    STAGE_LIVING_ROOM,
    STAGE_SNOW,
    STAGE_PLACE_KINDS
};

const char *stage_place_name(enum stage_place_kind place);
/* Fills the whole picture; the floor reaches up to about y = 0.25. */
void stage_place_draw(struct stage_canvas *canvas, enum stage_place_kind place, int layout);

#endif
