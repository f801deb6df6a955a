/* A PKCS#11 module that hands every call to the one in ODD_MODULE, and does some of what real tokens do and SoftHSM does not.
 * ODD_WAYS says what: locked, final (one attempt is left), lies (wrong signatures),
 * raw (points without an OCTET STRING), silent (keys that may not sign).
 * Each login is a line in ODD_LOG. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long ulong;
typedef struct { ulong type; void *value; ulong length; } attribute;
/* CK_FUNCTION_LIST of PKCS#11 2.40: a version, and 68 functions in a fixed order. */
typedef struct { unsigned char version[2]; void *functions[68]; } list;

enum { GET_FUNCTION_LIST = 3, GET_TOKEN_INFO = 6, LOGIN = 18, GET_ATTRIBUTE_VALUE = 24, SIGN = 43 };
enum { FLAGS_OFFSET = 96, FINAL_TRY = 0x20000, PIN_LOCKED = 0xa4, EC_POINT = 0x181, MAY_SIGN = 0x108, P256_WRAPPED = 67 };

static list real, ours;

static int has(const char *way) {
    const char *ways = getenv("ODD_WAYS");
    return ways && strstr(ways, way) != NULL;
}

static ulong token_info(ulong slot, unsigned char *info) {
    ulong (*call)(ulong, unsigned char *) = real.functions[GET_TOKEN_INFO];
    ulong result = call(slot, info);
    ulong flags;
    memcpy(&flags, info + FLAGS_OFFSET, sizeof flags);
    if (has("final")) flags |= FINAL_TRY;
    memcpy(info + FLAGS_OFFSET, &flags, sizeof flags);
    return result;
}

static ulong login(ulong session, ulong user, unsigned char *pin, ulong length) {
    const char *log = getenv("ODD_LOG");
    FILE *file = log ? fopen(log, "a") : NULL;
    if (file) {
        fputs("login\n", file);
        fclose(file);
    }
    if (has("locked")) return PIN_LOCKED;
    ulong (*call)(ulong, ulong, unsigned char *, ulong) = real.functions[LOGIN];
    return call(session, user, pin, length);
}

static ulong get_attribute_value(ulong session, ulong object, attribute *asked, ulong count) {
    ulong (*call)(ulong, ulong, attribute *, ulong) = real.functions[GET_ATTRIBUTE_VALUE];
    ulong result = call(session, object, asked, count);
    for (ulong i = 0; i < count; i++) {
        unsigned char *value = asked[i].value;
        if (has("silent") && asked[i].type == MAY_SIGN && value && asked[i].length == 1) *value = 0;
        if (has("raw") && asked[i].type == EC_POINT && value && asked[i].length == P256_WRAPPED) {
            memmove(value, value + 2, P256_WRAPPED - 2);
            asked[i].length = P256_WRAPPED - 2;
        }
    }
    return result;
}

static ulong sign(ulong session, void *data, ulong length, unsigned char *signature, ulong *signed_length) {
    ulong (*call)(ulong, void *, ulong, unsigned char *, ulong *) = real.functions[SIGN];
    ulong result = call(session, data, length, signature, signed_length);
    if (has("lies") && result == 0 && signature) signature[*signed_length - 1] ^= 1;
    return result;
}

ulong C_GetFunctionList(list **given) {
    void *library = dlopen(getenv("ODD_MODULE"), RTLD_NOW);
    if (!library) return 5;
    ulong (*get)(list **) = dlsym(library, "C_GetFunctionList");
    list *found;
    if (get(&found) != 0) return 5;
    real = *found;
    ours = *found;
    ours.functions[GET_FUNCTION_LIST] = C_GetFunctionList;
    ours.functions[GET_TOKEN_INFO] = token_info;
    ours.functions[LOGIN] = login;
    ours.functions[GET_ATTRIBUTE_VALUE] = get_attribute_value;
    ours.functions[SIGN] = sign;
    *given = &ours;
    return 0;
}
