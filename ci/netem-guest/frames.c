/*
 * frames: sends numbered Ethernet frames into one device at a steady pace and says which of them
 * came out of another, when, and whether each byte of them was as sent.
 *
 *   frames TX RX COUNT LENGTH_BYTES INTERVAL_US QUIET_MS
 *
 * Output, times in nanoseconds since the program took its first look at the clock:
 *   sent NS NS ...         when each frame was handed over, in order
 *   refused COUNT          how many of these calls the queue answered with "no buffer"
 *   came INDEX NS ...      each arrival in order; "INDEX!" where a bit was flipped
 *
 * Rules
 *   * One thread: while it waits for the time of the next frame it receives.
 *   * A frame is sent no earlier than its time and never skipped; a late one is sent at once.
 *   * The time of an arrival is the kernel's, taken where the frame enters the receiving side.
 *   * The number of a frame is in it five times: one flipped bit cannot hide it.
 *   * Receiving ends when nothing came for QUIET_MS after the last frame was sent.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { HEADER = ETH_HLEN, NUMBERS = 5, LEAST = HEADER + 4 * NUMBERS, MOST = 1514 };
enum { RECEIVE_BUFFER = 64 << 20 };

struct arrival {
    uint32_t index;
    int whole;
    int64_t ns;
};

static int64_t began_ns;
static int length;
static uint32_t count;
static struct arrival *arrivals;
static size_t arrived, room;

static void fail(const char *what)
{
    fprintf(stderr, "frames: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t ns_of(const struct timespec *at)
{
    return at->tv_sec * INT64_C(1000000000) + at->tv_nsec;
}

static int64_t now_ns(void)
{
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    return ns_of(&at) - began_ns;
}

/* A packet socket on a device; `protocol` 0 receives nothing. */
static int open_device(const char *name, uint16_t protocol)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(protocol)};
    int descriptor = socket(AF_PACKET, SOCK_RAW, htons(protocol));
    address.sll_ifindex = (int)if_nametoindex(name);
    if (descriptor < 0 || !address.sll_ifindex)
        fail(name);
    if (bind(descriptor, (struct sockaddr *)&address, sizeof address))
        fail(name);
    return descriptor;
}

static int open_receiver(const char *name)
{
    int descriptor = open_device(name, ETH_P_ALL), yes = 1, bytes = RECEIVE_BUFFER;
    if (setsockopt(descriptor, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes) ||
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes))
        fail(name);
    return descriptor;
}

/* EtherType 88B5 is for local experiments; no flip of one bit makes it a VLAN tag. */
static void compose(uint8_t *frame, uint32_t index)
{
    static const uint8_t header[HEADER] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xB5};
    uint32_t number = htonl(index);
    memcpy(frame, header, HEADER);
    for (int i = 0; i < NUMBERS; i++)
        memcpy(frame + HEADER + 4 * i, &number, 4);
    for (int i = LEAST; i < length; i++)
        frame[i] = (uint8_t)(index * 31 + (uint32_t)i * 7);
}

/* The number that most of the five places hold. */
static uint32_t number_of(const uint8_t *frame)
{
    uint32_t numbers[NUMBERS];
    memcpy(numbers, frame + HEADER, sizeof numbers);
    for (int i = 0; i < NUMBERS; i++) {
        int votes = 0;
        for (int j = 0; j < NUMBERS; j++)
            votes += numbers[i] == numbers[j];
        if (votes > NUMBERS / 2)
            return ntohl(numbers[i]);
    }
    return UINT32_MAX;
}

static void note(const uint8_t *frame, ssize_t bytes, int64_t ns)
{
    uint8_t sent[MOST];
    if (bytes != length)
        return; /* not one of ours */
    if (arrived == room) {
        room = room ? 2 * room : 4096;
        arrivals = realloc(arrivals, room * sizeof *arrivals);
        if (!arrivals)
            fail("memory");
    }
    struct arrival *next = &arrivals[arrived++];
    next->index = number_of(frame);
    next->ns = ns;
    compose(sent, next->index);
    next->whole = !memcmp(frame, sent, (size_t)length);
}

/* Takes one frame that has arrived. */
static void receive(int descriptor)
{
    uint8_t frame[MOST + 1];
    char control[CMSG_SPACE(sizeof(struct timespec))];
    struct iovec part = {frame, sizeof frame};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t bytes = recvmsg(descriptor, &message, 0);
    struct cmsghdr *stamp = bytes < 0 ? NULL : CMSG_FIRSTHDR(&message);
    if (!stamp)
        fail("receiving");
    struct timespec at;
    memcpy(&at, CMSG_DATA(stamp), sizeof at);
    note(frame, bytes, ns_of(&at) - began_ns);
}

/* Receives one frame, or waits until the time has come; tells whether there was a frame. */
static int receive_until(int descriptor, int64_t until_ns)
{
    int64_t left_ns = until_ns - now_ns();
    struct timespec wait = {0, 0};
    struct pollfd watched = {descriptor, POLLIN, 0};
    if (left_ns > 0)
        wait = (struct timespec){left_ns / 1000000000, left_ns % 1000000000};
    if (ppoll(&watched, 1, &wait, NULL) < 0)
        fail("waiting");
    if (watched.revents)
        receive(descriptor);
    return watched.revents != 0;
}

static void print(const int64_t *sent_ns, long refused)
{
    printf("sent");
    for (uint32_t i = 0; i < count; i++)
        printf(" %lld", (long long)sent_ns[i]);
    printf("\nrefused %ld\ncame", refused);
    for (size_t i = 0; i < arrived; i++)
        printf(" %u%s %lld", arrivals[i].index, arrivals[i].whole ? "" : "!",
               (long long)arrivals[i].ns);
    printf("\n");
}

int main(int words, char **word)
{
    if (words != 7) {
        fprintf(stderr, "usage: frames TX RX COUNT LENGTH_BYTES INTERVAL_US QUIET_MS\n");
        return 4;
    }
    int out = open_device(word[1], 0), in = open_receiver(word[2]);
    count = (uint32_t)strtoul(word[3], NULL, 10);
    length = atoi(word[4]);
    int64_t interval_ns = atoll(word[5]) * 1000, quiet_ns = atoll(word[6]) * 1000000;
    int64_t *sent_ns = calloc(count, sizeof *sent_ns);
    uint8_t frame[MOST];
    long refused = 0;
    if (length < LEAST || length > MOST || !sent_ns)
        fail("LENGTH_BYTES or COUNT");
    began_ns = now_ns();
    for (uint32_t i = 0; i < count; i++) {
        while (now_ns() < (i + 1) * interval_ns)
            receive_until(in, (i + 1) * interval_ns);
        compose(frame, i);
        sent_ns[i] = now_ns();
        if (send(out, frame, (size_t)length, 0) < 0) {
            if (errno != ENOBUFS)
                fail("sending");
            refused++;
        }
    }
    while (receive_until(in, now_ns() + quiet_ns))
        ;
    print(sent_ns, refused);
    return 0;
}
