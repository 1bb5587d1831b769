/* The floor: sends questions to several servers with sendmmsg and takes the answers with recvmmsg, 64 at a time on the way to each, and does
 * nothing with them beyond matching their numbers. An unanswered one is sent again after a second, once.
 *   raw QUESTIONS ADDRESS:PORT...        (QUESTIONS: NAME TYPE a line)
 * Prints how many were answered and how many were not. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

enum { WINDOW = 64, LONGEST = 320, ANSWER = 4096, SERVERS = 16, TRIES = 2 };

struct question { uint16_t length; uint8_t octets[LONGEST]; };
struct slot { size_t question; int tries; double sent; uint8_t octets[LONGEST]; uint16_t number; int used; };
struct server { int line; size_t next; int flying; struct slot slots[WINDOW]; };

static struct question *questions;
static size_t count, answered, lost;
static uint8_t answers[WINDOW][ANSWER];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int type_of(const char *word) {
    static const struct { const char *word; int type; } types[] = {
        {"A", 1}, {"NS", 2}, {"SOA", 6}, {"MX", 15}, {"TXT", 16}, {"AAAA", 28}, {"CAA", 257}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(types[i].word, word)) return types[i].type;
    fprintf(stderr, "raw: no type %s\n", word);
    exit(2);
}

static void read_questions(const char *path) {
    FILE *file = fopen(path, "r");
    char name[256], type[16];
    size_t room = 0;
    if (!file) { perror(path); exit(2); }
    while (fscanf(file, "%255s %15s", name, type) == 2) {
        if (count == room) {
            room = room ? room * 2 : 1024;
            questions = realloc(questions, room * sizeof *questions);
            if (!questions) { perror("raw"); exit(2); }
        }
        uint8_t *at = questions[count].octets;
        memcpy(at, "\0\0\0\0\0\1\0\0\0\0\0\1", 12);
        at += 12;
        for (char *label = strtok(name, "."); label; label = strtok(NULL, ".")) {
            size_t length = strlen(label);
            *at++ = (uint8_t)length;
            memcpy(at, label, length);
            at += length;
        }
        int number = type_of(type);
        *at++ = 0;
        *at++ = (uint8_t)(number >> 8);
        *at++ = (uint8_t)number;
        memcpy(at, "\0\1\0\0\x29\x04\xd0\0\0\0\0\0\0", 13);
        questions[count].length = (uint16_t)(at + 13 - questions[count].octets);
        count++;
    }
    fclose(file);
}

static void send_more(struct server *server, double time) {
    struct mmsghdr messages[WINDOW];
    struct iovec parts[WINDOW];
    unsigned ready = 0;
    for (int i = 0; i < WINDOW; i++) {
        struct slot *slot = &server->slots[i];
        if (slot->used && time - slot->sent >= 1.0) {
            if (slot->tries == TRIES) { lost++; slot->used = 0; server->flying--; }
        } else if (slot->used) {
            continue;
        }
        if (!slot->used) {
            if (server->next == count) continue;
            slot->question = server->next++;
            slot->tries = 0;
            slot->used = 1;
            server->flying++;
        }
        struct question *question = &questions[slot->question];
        memcpy(slot->octets, question->octets, question->length);
        slot->number = (uint16_t)((slot->number + WINDOW) & ~(WINDOW - 1)) | (uint16_t)i;
        slot->octets[0] = (uint8_t)(slot->number >> 8);
        slot->octets[1] = (uint8_t)slot->number;
        slot->sent = time;
        slot->tries++;
        parts[ready] = (struct iovec){slot->octets, question->length};
        messages[ready] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[ready], .msg_iovlen = 1}};
        ready++;
    }
    for (unsigned sent = 0; sent < ready;) {
        int more = sendmmsg(server->line, messages + sent, ready - sent, 0);
        if (more <= 0) break; /* what was not sent is sent again in a second */
        sent += (unsigned)more;
    }
}

static void receive(struct server *server) {
    struct mmsghdr messages[WINDOW];
    struct iovec parts[WINDOW];
    for (int i = 0; i < WINDOW; i++) {
        parts[i] = (struct iovec){answers[i], ANSWER};
        messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[i], .msg_iovlen = 1}};
    }
    int got = recvmmsg(server->line, messages, WINDOW, MSG_DONTWAIT, NULL);
    for (int i = 0; i < got; i++) {
        if (messages[i].msg_len < 12) continue;
        uint16_t number = (uint16_t)(answers[i][0] << 8 | answers[i][1]);
        struct slot *slot = &server->slots[number % WINDOW];
        if (!slot->used || slot->number != number) continue;
        slot->used = 0;
        server->flying--;
        answered++;
    }
}

int main(int words, char **word) {
    static struct server servers[SERVERS];
    struct pollfd waits[SERVERS];
    int those = words - 2;
    if (those < 1 || those > SERVERS) { fprintf(stderr, "raw QUESTIONS ADDRESS:PORT...\n"); return 2; }
    read_questions(word[1]);
    for (int i = 0; i < those; i++) {
        char *port = strrchr(word[i + 2], ':');
        struct sockaddr_in to = {.sin_family = AF_INET};
        if (!port) return 2;
        *port++ = 0;
        to.sin_port = htons((uint16_t)atoi(port));
        inet_pton(AF_INET, word[i + 2], &to.sin_addr);
        servers[i].line = socket(AF_INET, SOCK_DGRAM, 0);
        if (connect(servers[i].line, (struct sockaddr *)&to, sizeof to)) { perror("raw"); return 2; }
        waits[i] = (struct pollfd){.fd = servers[i].line, .events = POLLIN};
    }
    for (;;) {
        double time = now();
        int left = 0;
        for (int i = 0; i < those; i++) {
            send_more(&servers[i], time);
            left |= servers[i].flying > 0;
        }
        if (!left) break;
        poll(waits, (nfds_t)those, 50);
        for (int i = 0; i < those; i++)
            if (waits[i].revents) receive(&servers[i]);
    }
    printf("{\"answered\": %zu, \"lost\": %zu}\n", answered, lost);
    return 0;
}
