/* The interface between a program that looks tables up (the host) and a table type that is loaded on first use (a
 * module): one table of C functions on either side, plain bytes, outcomes as integers. docs/table-modules.md tells how
 * to write one.
 *
 * Nothing of C++ crosses: no exception, no std type, no error_code. The programs link their C++ runtime statically, so
 * that a throw across this border ends the process.
 *
 * A table is used by one thread at a time; several tables of one module may be used by as many threads. Bytes passed to
 * a function are valid until it returns. Functions of the host may be called only within a call of the host's.
 */
#ifndef MTA_TABLE_MODULE_H
#define MTA_TABLE_MODULE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised when the meaning of anything below changes. New members are appended without raising it: compare `size`. */
#define MTAD_TABLE_VERSION 1u

/* The answer to every call that can fail. What cannot be told for sure is MTAD_TABLE_TEMPORARY: it keeps mail queued,
 * where MTAD_TABLE_ABSENT may bounce it. */
enum mtad_table_outcome {
    MTAD_TABLE_FOUND = 0,     /* and the value went into the sink; of open and walk: done */
    MTAD_TABLE_ABSENT = 1,    /* no such key */
    MTAD_TABLE_TEMPORARY = 2, /* no answer now; the reason went into the sink */
    MTAD_TABLE_PERMANENT = 3  /* a mistake that only an administrator mends; the reason went into the sink */
};

enum mtad_table_trait {
    MTAD_TABLE_PATTERNS = 1, /* answers by pattern: whole keys in their own case, no partial address lookups */
    MTAD_TABLE_MAY_BLOCK = 2 /* may wait for the network */
};

enum mtad_table_level { MTAD_TABLE_INFO = 0, MTAD_TABLE_WARNING = 1, MTAD_TABLE_ERROR = 2 };

/* Takes bytes from whoever answers. Several calls of put are one answer. */
struct mtad_table_sink {
    void *context;
    void (*put)(void *context, const char *bytes, size_t size);
};

/* What the host offers one table; valid from open to close. */
struct mtad_table_host {
    uint32_t version; /* MTAD_TABLE_VERSION of the host */
    uint32_t size;    /* sizeof(struct mtad_table_host) of the host */
    void *context;    /* to be handed back */
    /* The value of a parameter of this table, as text: from the table's own file when its name is a path, else from
     * main.cf as NAME_parameter. MTAD_TABLE_ABSENT when nobody set it. */
    int (*parameter)(void *context, const char *name, const struct mtad_table_sink *value);
    /* One line for the mail log. */
    void (*log)(void *context, int level, const char *text, size_t size);
};

struct mtad_table_module {
    uint32_t version; /* MTAD_TABLE_VERSION of the module; another one is not loaded */
    uint32_t size;    /* sizeof(struct mtad_table_module) of the module */
    const char *type; /* "mysql": what stands before the colon; the file is table_TYPE.so */
    uint32_t traits;  /* mtad_table_trait */

    /* name is what follows "type:", ended by a NUL. Stores a handle of its own. A server that does not answer is no
     * reason to fail: lookups say so. On failure the reason goes into the sink. */
    int (*open)(const struct mtad_table_host *host, const char *name, void **table,
                const struct mtad_table_sink *reason);
    /* key is valid UTF-8 without a NUL. */
    int (*lookup)(void *table, const char *key, size_t size, const struct mtad_table_sink *answer);
    /* Every entry until visit answers 0. A null pointer: this type cannot. */
    int (*walk)(void *table, int (*visit)(void *context, const char *key, size_t key_size, const char *value,
                                          size_t value_size), void *context, const struct mtad_table_sink *reason);
    void (*close)(void *table);
};

/* The one symbol of a module: its table, which lasts as long as the module is loaded. */
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const struct mtad_table_module *mtad_table_entry(void);

#ifdef __cplusplus
}
#endif
#endif
