/* Contact sheets. */
#include "tests/stage/sheet.h"

#include "core/error.h"
#include "core/file.h"
#include "core/media/writer.h"

#include <string.h>

int stage_sheet(const char *path, const int *actions, int action_count, int rows, int columns,
                int size, uint64_t seed, enum stage_split split)
{
    struct clv_image sheet;
    struct clv_bytes jpeg = {0};
    int lines = action_count * rows, pitch = size + 2;
    int status = clv_image_create(&sheet, columns * pitch, lines * pitch);
    if (status != CLV_OK)
        return status;
    memset(sheet.pixels, 255, sheet.stride_bytes * (size_t)sheet.height);
    for (int line = 0; line < lines; line++) {
        struct stage_clip clip;
        stage_draw_clip(&clip, seed + (uint64_t)(line % rows), split, actions[line / rows]);
        for (int i = 0; i < columns; i++) {
            struct clv_image cell = {sheet.pixels + (size_t)(line * pitch) * sheet.stride_bytes +
                                         3 * (size_t)(i * pitch),
                                     size, size, sheet.stride_bytes};
            stage_render_frame(&clip, i, columns, &cell);
        }
    }
    status = clv_image_jpeg(&jpeg, &sheet, 0, 0);
    if (status == CLV_OK)
        status = clv_file_replace(path, jpeg.data, jpeg.size_bytes);
    clv_bytes_release(&jpeg);
    clv_image_release(&sheet);
    return status;
}
