#include "greet.h"

#include <stdio.h>
#include <string.h>

static int usage(void) {
    fputs("usage: greet NAME | --farewell NAME | --packed TEXT | --checksum TEXT | --seal ALGORITHM TEXT | --secret TEXT\n", stderr);
    return 2;
}

static int say(int length, const char *text) { return length < 0 ? (fputs("greet: no\n", stderr), 1) : (puts(text), 0); }

int main(int count, char **arguments) {
    char text[256];
    const char *what = count > 1 ? arguments[1] : "", *first = count > 2 ? arguments[2] : "";
    if (count == 2 && what[0] != '-') return say(greet_hello(what, text, sizeof text), text);
    if (count == 3 && !strcmp(what, "--farewell")) return say(greet_farewell(first, text, sizeof text), text);
    if (count == 3 && !strcmp(what, "--packed")) return printf("%ld\n", greet_packed(first)) < 0;
    if (count == 3 && !strcmp(what, "--checksum")) return printf("%08lx\n", greet_checksum(first)) < 0;
    if (count == 3 && !strcmp(what, "--secret")) return say(greet_secret(first), "sealed and opened");
    if (count == 4 && !strcmp(what, "--seal")) return say(greet_seal(first, arguments[3], text, sizeof text), text);
    return usage();
}
