/* The version of claverdb: of the library, the program and the installed files. */
#ifndef CLV_CORE_VERSION_H
#define CLV_CORE_VERSION_H

#define CLV_VERSION "0.1.0"

#endif
