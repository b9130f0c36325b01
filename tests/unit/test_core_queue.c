/* The bounded queue, alone and between threads. */
#include "core/clock.h"
#include "core/error.h"
#include "core/queue.h"
#include "tests/t.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

static void *item(uintptr_t number)
{
    return (void *)number;
}

static void items_come_in_order(void)
{
    struct clv_queue *queue = NULL;
    REQUIRE_OK(clv_queue_create(&queue, 3));
    for (uintptr_t round = 0; round < 5; round++) {
        for (uintptr_t i = 1; i <= 3; i++)
            CHECK(clv_queue_push(queue, item(10 * round + i)));
        for (uintptr_t i = 1; i <= 3; i++)
            CHECK(clv_queue_pop(queue) == item(10 * round + i));
    }
    clv_queue_free(queue);
    clv_queue_free(NULL);
}

static void closing_drains_and_refuses(void)
{
    struct clv_queue *queue = NULL;
    REQUIRE_OK(clv_queue_create(&queue, 4));
    CHECK(clv_queue_push(queue, item(1)));
    CHECK(clv_queue_push(queue, item(2)));
    clv_queue_close(queue);
    clv_queue_close(queue);
    CHECK(!clv_queue_push(queue, item(3)));
    CHECK(clv_queue_pop(queue) == item(1));
    CHECK(clv_queue_pop(queue) == item(2));
    CHECK(clv_queue_pop(queue) == NULL);
    CHECK(clv_queue_pop(queue) == NULL);
    clv_queue_free(queue);
}

static void a_queue_needs_room(void)
{
    struct clv_queue *queue = NULL;
    CHECK_ERROR(clv_queue_create(&queue, 0), CLV_EINVAL, "0 items");
    CHECK(queue == NULL);
    CHECK_ERROR(clv_queue_create(&queue, -5), CLV_EINVAL, "-5 items");
}

#define PRODUCERS 4
#define CONSUMERS 3
#define EACH 5000

struct traffic {
    struct clv_queue *queue;
    atomic_int producer; /* numbers handed out */
    atomic_int inside;   /* pushed and not popped, as seen from outside */
    atomic_int most_inside;
    atomic_uchar seen[PRODUCERS * EACH + 1];
    atomic_int wrong;
};

static void *produce(void *payload)
{
    struct traffic *traffic = payload;
    uintptr_t first = (uintptr_t)atomic_fetch_add(&traffic->producer, 1) * EACH + 1;
    for (uintptr_t i = 0; i < EACH; i++) {
        if (!clv_queue_push(traffic->queue, item(first + i)))
            atomic_fetch_add(&traffic->wrong, 1);
        int inside = atomic_fetch_add(&traffic->inside, 1) + 1;
        int most = atomic_load(&traffic->most_inside);
        while (inside > most &&
               !atomic_compare_exchange_weak(&traffic->most_inside, &most, inside)) {
        }
    }
    return NULL;
}

static void *consume(void *payload)
{
    struct traffic *traffic = payload;
    uintptr_t last[PRODUCERS] = {0};
    void *got;
    while ((got = clv_queue_pop(traffic->queue))) {
        uintptr_t number = (uintptr_t)got;
        atomic_fetch_sub(&traffic->inside, 1);
        atomic_fetch_add(&traffic->seen[number], 1);
        /* One producer's items reach one consumer in their order. */
        uintptr_t producer = (number - 1) / EACH;
        if (number <= last[producer])
            atomic_fetch_add(&traffic->wrong, 1);
        last[producer] = number;
    }
    return NULL;
}

static void threads_lose_and_double_nothing(void)
{
    static struct traffic traffic;
    pthread_t producers[PRODUCERS], consumers[CONSUMERS];
    REQUIRE_OK(clv_queue_create(&traffic.queue, 7));
    for (int i = 0; i < CONSUMERS; i++)
        REQUIRE(pthread_create(&consumers[i], NULL, consume, &traffic) == 0);
    for (int i = 0; i < PRODUCERS; i++)
        REQUIRE(pthread_create(&producers[i], NULL, produce, &traffic) == 0);
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(producers[i], NULL);
    clv_queue_close(traffic.queue);
    for (int i = 0; i < CONSUMERS; i++)
        pthread_join(consumers[i], NULL);
    CHECK_INT(traffic.wrong, 0);
    int missing = 0;
    for (int i = 1; i <= PRODUCERS * EACH; i++)
        missing += traffic.seen[i] != 1;
    CHECK_INT(missing, 0);
    /* Counted after the push and after the pop, so a few more than the capacity may show. */
    CHECK(traffic.most_inside <= 7 + PRODUCERS + CONSUMERS);
    clv_queue_free(traffic.queue);
}

static void *pop_one(void *queue)
{
    return clv_queue_pop(queue);
}

static void *push_one(void *queue)
{
    return clv_queue_push(queue, item(9)) ? queue : NULL;
}

/* A thread that waits for room or for an item is let go by a close. */
static void closing_wakes_those_who_wait(void)
{
    struct clv_queue *empty = NULL, *full = NULL;
    pthread_t popper, pusher;
    void *result = item(1);
    REQUIRE_OK(clv_queue_create(&empty, 1));
    REQUIRE_OK(clv_queue_create(&full, 1));
    CHECK(clv_queue_push(full, item(1)));
    REQUIRE(pthread_create(&popper, NULL, pop_one, empty) == 0);
    REQUIRE(pthread_create(&pusher, NULL, push_one, full) == 0);
    usleep(20000);
    clv_queue_close(empty);
    clv_queue_close(full);
    pthread_join(popper, &result);
    CHECK(result == NULL);
    pthread_join(pusher, &result);
    CHECK(result == NULL);
    CHECK(clv_queue_pop(full) == item(1));
    clv_queue_free(empty);
    clv_queue_free(full);
}

static void waits_no_longer_than_told(void)
{
    struct clv_queue *queue = NULL;
    bool timed_out = false;
    REQUIRE_OK(clv_queue_create(&queue, 1));
    double begun = clv_clock_seconds();
    CHECK(clv_queue_pop_for(queue, 30, &timed_out) == NULL);
    CHECK(timed_out);
    CHECK(clv_clock_seconds() - begun >= 0.029);
    CHECK(clv_queue_push(queue, item(1)));
    CHECK(clv_queue_pop_for(queue, 1500, &timed_out) == item(1));
    CHECK(!timed_out);
    clv_queue_close(queue);
    timed_out = true;
    CHECK(clv_queue_pop_for(queue, 1500, &timed_out) == NULL);
    CHECK(!timed_out);
    clv_queue_free(queue);
}

int main(void)
{
    T_RUN(items_come_in_order);
    T_RUN(closing_drains_and_refuses);
    T_RUN(a_queue_needs_room);
    T_RUN(threads_lose_and_double_nothing);
    T_RUN(closing_wakes_those_who_wait);
    T_RUN(waits_no_longer_than_told);
    return t_end();
}
