/* libgreet: words of welcome, packed and sealed. */
#ifndef GREET_H
#define GREET_H

#include <stddef.h>

/* Writes a greeting for NAME into OUT; returns its length, or -1 where SIZE bytes are too few. */
int greet_hello(const char *name, char *out, size_t size);

/* Writes the words for leaving into OUT, as greet_hello does. */
int greet_farewell(const char *name, char *out, size_t size);

/* Compresses TEXT and unpacks it again; returns the compressed size, or -1 where the two differ. */
long greet_packed(const char *text);

/* The checksum of TEXT (CRC-32). */
unsigned long greet_checksum(const char *text);

/* Writes the digest of TEXT into OUT as hexadecimal digits; returns -1 for an unknown ALGORITHM or too few bytes. */
int greet_seal(const char *algorithm, const char *text, char *out, size_t size);

/* Seals TEXT with AES-256-GCM and opens it again; returns -1 where that fails, or where damage goes unseen. */
int greet_secret(const char *text);

#endif
