/* Frames of a dishonest helper, and the application's answers to them: native/pam_trex.c.
 *
 * The first byte of an input says how the application behaves (enum below). Then come frames: two
 * bytes of length, the lower first, and so many bytes. With INTRODUCE they are fields of PAM
 * instead. Promised is that `carry` returns exactly what the frames say, and gives the answers that are
 * due; that text has an end where PAM gets it; and that LOGIN has each field whole, or is not sent.
 */
#include "../native/pam_trex.c"

enum { NO_CONVERSATION = 1, CONVERSATION_FAILS = 2, NO_RESPONSE = 4, LONG_RESPONSE = 8,
       NO_ITEMS = 16, ITEMS_FAIL = 32, INTRODUCE = 64 };
enum { MOST_FIELDS = 12, LONG = MAX_FRAME + 10 };

static struct {
    unsigned char behaviour;
    const char *fields[MOST_FIELDS];
    int count;
} fuzzed;

#define PROMISE(true) ((true) ? (void)0 : (fprintf(stderr, "broken: %s\n", #true), abort()))

static int respond(int count, const struct pam_message **messages, struct pam_response **responses,
                  void *unused)
{
    int style = messages[0]->msg_style;

    (void)unused;
    PROMISE(count == 1 && strlen(messages[0]->msg) < MAX_FRAME);
    if (fuzzed.behaviour & CONVERSATION_FAILS)
        return PAM_CONV_ERR;
    *responses = NULL;
    if (fuzzed.behaviour & NO_RESPONSE)
        return PAM_SUCCESS;
    *responses = calloc(1, sizeof **responses);
    if (*responses && (style == PAM_PROMPT_ECHO_OFF || style == PAM_PROMPT_ECHO_ON)) {
        (*responses)->resp = calloc(1, LONG + 1);
        PROMISE((*responses)->resp);
        memset((*responses)->resp, 'x', fuzzed.behaviour & LONG_RESPONSE ? LONG : 1);
    }
    return PAM_SUCCESS;
}

/* libpam, as far as the module knows it. */

int pam_get_item(const pam_handle_t *pamh, int type, const void **item)
{
    static const struct pam_conv conversation = {respond, NULL}, none = {NULL, NULL};

    (void)pamh;
    if (fuzzed.behaviour & ITEMS_FAIL)
        return PAM_BAD_ITEM;
    if (type == PAM_CONV)
        *item = fuzzed.behaviour & NO_CONVERSATION ? &none : &conversation;
    else if (fuzzed.behaviour & NO_ITEMS)
        *item = NULL;
    else
        *item = fuzzed.count ? fuzzed.fields[type % fuzzed.count] : "item";
    return PAM_SUCCESS;
}

int pam_set_item(pam_handle_t *pamh, int type, const void *item)
{
    (void)pamh;
    PROMISE(type == PAM_AUTHTOK && strlen(item) < MAX_FRAME);
    return fuzzed.behaviour & ITEMS_FAIL ? PAM_BAD_ITEM : PAM_SUCCESS;
}

int pam_get_user(pam_handle_t *pamh, const char **user, const char *prompt)
{
    (void)pamh, (void)prompt;
    if (fuzzed.behaviour & ITEMS_FAIL)
        return PAM_CONV_ERR;
    *user = fuzzed.fields[0];
    return PAM_SUCCESS;
}

int pam_fail_delay(pam_handle_t *pamh, unsigned microseconds)
{
    (void)pamh, (void)microseconds;
    return PAM_SUCCESS;
}

void pam_syslog(const pam_handle_t *pamh, int priority, const char *format, ...)
{
    (void)pamh, (void)priority, (void)format;
}

/* What the frames say, read in another way than `carry` does. */
struct reader {
    int frames, code;
    char answers[MAX_FRAMES + 1]; /* the kinds of those that are due */
};

/* Return the kind of the answer to a frame, or 0 if there is none. */
static char answer_to(char kind)
{
    const int fails = fuzzed.behaviour & (NO_CONVERSATION | CONVERSATION_FAILS | ITEMS_FAIL);

    switch (kind) {
    case 'p': case 'e':
        return fails ? FAILED : (fuzzed.behaviour & NO_RESPONSE) ? NOTHING : ANSWER;
    case 'i': case 'r':
        return fails ? FAILED : NOTHING;
    case 'g':
        return (fuzzed.behaviour & (NO_ITEMS | ITEMS_FAIL)) ? NOTHING : ANSWER;
    case 's':
        return (fuzzed.behaviour & ITEMS_FAIL) ? FAILED : ANSWER;
    }
    return 0;
}

static void read_frame(struct reader *reader, const unsigned char *frame, size_t length)
{
    static const char *const words[] = {"success", "ignore", "auth_err", "user_unknown",
                                        "authinfo_unavail", "maxtries", "conv_err", "system_err"};
    static const int codes[] = {PAM_SUCCESS, PAM_IGNORE, PAM_AUTH_ERR, PAM_USER_UNKNOWN,
                                PAM_AUTHINFO_UNAVAIL, PAM_MAXTRIES, PAM_CONV_ERR, PAM_SYSTEM_ERR};

    if (reader->code != 1 << 20)
        return;
    if (length == 0 || memchr(frame, 0, length) || reader->frames++ == MAX_FRAMES ||
        !strchr("peirgsdv", frame[0]))
        reader->code = NO_VERDICT;
    else if (frame[0] == 'v') {
        reader->code = NO_VERDICT;
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (length - 1 == strlen(words[i]) && !memcmp(frame + 1, words[i], length - 1))
                reader->code = codes[i];
    } else if (answer_to((char)frame[0])) {
        reader->answers[strlen(reader->answers)] = answer_to((char)frame[0]);
    }
}

static void try_frames(struct door *door, int helper, const unsigned char *data, size_t size)
{
    struct reader reader = {0, 1 << 20, ""};
    char kind;
    int code;

    while (size >= 2) {
        size_t length = data[0] | (size_t)data[1] << 8;
        data += 2, size -= 2;
        length = length < size ? length : size;
        if (send(helper, data, length, MSG_DONTWAIT) < 0)
            break;
        read_frame(&reader, data, length);
        data += length, size -= length;
    }
    shutdown(helper, SHUT_WR);
    code = carry(door);
    if (reader.code == 1 << 20)
        reader.code = NO_VERDICT; /* there was none */
    if (fuzzed.behaviour & LONG_RESPONSE && code == NO_VERDICT)
        return; /* they may have been more than the socket takes */
    PROMISE(code == reader.code);
    for (const char *due = reader.answers; *due; due++)
        PROMISE(recv(helper, &kind, 1, MSG_DONTWAIT) == 1 && kind == *due);
    PROMISE(recv(helper, &kind, 1, MSG_DONTWAIT) < 0);
}

static void try_fields(struct door *door, int helper, const unsigned char *data, size_t size)
{
    static const int items[] = {PAM_SERVICE, PAM_RHOST, PAM_TTY, PAM_RUSER};
    const int named = !(fuzzed.behaviour & ITEMS_FAIL);
    char *copy = calloc(1, size + 1), *at = copy, *frame = malloc(2 * MAX_FRAME);

    if (!copy || !frame)
        abort();
    memcpy(copy, data, size);
    while (fuzzed.count < MOST_FIELDS && at <= copy + size) {
        fuzzed.fields[fuzzed.count++] = at;
        at += strlen(at) + 1;
    }
    if (introduce(door, 0, fuzzed.count, fuzzed.fields) == 0) {
        ssize_t length = recv(helper, frame, 2 * MAX_FRAME, MSG_DONTWAIT);
        PROMISE(length > 0 && length <= MAX_FRAME && frame[0] == LOGIN && frame[length - 1] == 0);
        at = frame;
        for (int i = 0; i < 2; i++) /* flags, process id */
            at += strlen(at) + 1;
        PROMISE(!strcmp(at, named ? "1" : "0"));
        at += strlen(at) + 1;
        PROMISE(!strcmp(at, named ? fuzzed.fields[0] : ""));
        at += strlen(at) + 1;
        for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
            const void *item = NULL;
            pam_get_item(door->pamh, items[i], &item);
            PROMISE(!strcmp(at, item ? item : ""));
            at += strlen(at) + 1;
        }
        for (int i = 0; i < fuzzed.count; i++) {
            PROMISE(!strcmp(at, fuzzed.fields[i]));
            at += strlen(at) + 1;
        }
        PROMISE(at == frame + length);
    } else {
        size_t expected = 0;
        for (int i = 0; i < fuzzed.count; i++)
            expected += strlen(fuzzed.fields[i]);
        PROMISE(expected * 6 > MAX_FRAME / 2); /* only for want of space */
    }
    free(frame);
    free(copy);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static char handle; /* nobody looks into it */
    struct door door = {.pamh = (pam_handle_t *)&handle, .frame = malloc(MAX_FRAME + 1)};
    int ends[2];

    if (!size) {
        free(door.frame);
        return 0;
    }
    if (!door.frame || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
        abort();
    door.socket = ends[0];
    memset(&fuzzed, 0, sizeof fuzzed);
    fuzzed.behaviour = data[0];
    if (data[0] & INTRODUCE)
        try_fields(&door, ends[1], data + 1, size - 1);
    else
        try_frames(&door, ends[1], data + 1, size - 1);
    close(ends[0]);
    close(ends[1]);
    free(door.frame);
    return 0;
}
