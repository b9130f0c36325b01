/* Text into web pages. */
#ifndef CLV_CORE_HTML_H
#define CLV_CORE_HTML_H

#include "core/bytes.h"

/* Appends `text` so that it stands in an element or a quoted attribute as it is. Control characters
 * and bytes that are not UTF-8 become U+FFFD. */
void clv_html_text(struct clv_bytes *out, const char *text);

#endif
