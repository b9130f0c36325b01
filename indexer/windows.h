/* Which frames make which segments: pure arithmetic over the frames of one shot, no files, no
 * model. Frames are taken at the middles of a regular grid that starts with the shot; windows are T
 * consecutive grid frames; none straddles a cut. */
#ifndef CLV_INDEXER_WINDOWS_H
#define CLV_INDEXER_WINDOWS_H

#include "core/time.h"

#include <stdbool.h>
#include <stdint.h>

#endif
