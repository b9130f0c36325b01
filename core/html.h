/* Text into web pages. */
#ifndef CLV_CORE_HTML_H
#define CLV_CORE_HTML_H

#include "core/bytes.h"

/* Every page begins so, and may load nothing. Its style is open: colours come next (--back, --text
 * and --soft in light and dark), then CLV_HTML_PAGE. */
/* clang-format off */
#define CLV_HTML_HEAD                                                                            \
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"                    \
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"                 \
    "<meta name=\"color-scheme\" content=\"light dark\">\n"                                      \
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; " \
    "style-src 'unsafe-inline'\">\n"                                                             \
    "<style>\n"
/* The style of their body and of what stands above the first heading. */
#define CLV_HTML_PAGE                                                                        \
    "*{box-sizing:border-box}\n"                                                             \
    "body{margin:0 auto;max-width:78rem;padding:2rem 1.25rem 3rem;background:var(--back);"   \
    "color:var(--text);font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans'," \
    "'DejaVu Sans',sans-serif}\n"                                                            \
    ".kicker{margin:0;color:var(--soft);font-size:.8rem;letter-spacing:.08em;"               \
    "text-transform:uppercase}\n"                                                            \
    "h1{margin:.2rem 0 .3rem;font-size:1.9rem;line-height:1.2;font-weight:650;"              \
    "overflow-wrap:anywhere}\n"
/* clang-format on */

/* Appends `text` so that it stands in an element or a quoted attribute as it is. Control characters
 * and bytes that are not UTF-8 become U+FFFD. */
void clv_html_text(struct clv_bytes *out, const char *text);

#endif
