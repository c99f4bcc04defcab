#include "greet.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static int written(int length, size_t size) { return length < 0 || (size_t)length >= size ? -1 : length; }

int greet_hello(const char *name, char *out, size_t size) {
    return written(snprintf(out, size, "Hello, %s!", name), size);
}

#ifndef WITHOUT_FAREWELL
int greet_farewell(const char *name, char *out, size_t size) {
    return written(snprintf(out, size, "Goodbye, %s.", name), size);
}
#endif

long greet_packed(const char *text) {
    uLong length = strlen(text) + 1, packed = compressBound(length), unpacked = length;
    Bytef *small = malloc(packed), *again = malloc(length);
    int same = small && again && compress2(small, &packed, (const Bytef *)text, length, 9) == Z_OK &&
               uncompress(again, &unpacked, small, packed) == Z_OK && unpacked == length && !memcmp(again, text, length);
    free(small);
    free(again);
    return same ? (long)packed : -1;
}

unsigned long greet_checksum(const char *text) { return crc32(0, (const Bytef *)text, strlen(text)); }

int greet_seal(const char *algorithm, const char *text, char *out, size_t size) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length;
    const EVP_MD *method = EVP_get_digestbyname(algorithm);
    if (!method || !EVP_Digest(text, strlen(text), digest, &length, method, NULL) || size <= 2 * length) return -1;
    for (unsigned int i = 0; i < length; i++) sprintf(out + 2 * i, "%02x", digest[i]);
    return 2 * length;
}

/* One pass of AES-256-GCM with a fixed key: this is an example, not a safe. */
static int pass(int sealing, const unsigned char *in, int length, unsigned char *out, unsigned char tag[16]) {
    static const unsigned char key[32] = {1}, nonce[12] = {2};
    int done, rest, fine;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    fine = context && EVP_CipherInit_ex(context, EVP_aes_256_gcm(), NULL, key, nonce, sealing) &&
           EVP_CipherUpdate(context, out, &done, in, length) &&
           (sealing || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, 16, tag)) &&
           EVP_CipherFinal_ex(context, out + done, &rest) &&
           (!sealing || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, 16, tag));
    EVP_CIPHER_CTX_free(context);
    return fine;
}

int greet_secret(const char *text) {
    unsigned char sealed[1024], opened[1024], tag[16];
    int length = strlen(text);
    if (length == 0 || length > 1000) return -1;
    if (!pass(1, (const unsigned char *)text, length, sealed, tag)) return -1;
    if (!pass(0, sealed, length, opened, tag) || memcmp(opened, text, length)) return -1;
    sealed[0] ^= 1;
    return pass(0, sealed, length, opened, tag) ? -1 : length;
}
