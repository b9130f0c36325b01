/* core/queue: order, bounds, closing, waiting with a limit, from two threads. */
#include "core/queue.h"

#include "core/clock.h"

#include "tests/t.h"

#include <pthread.h>

static int values[1000];

static void keeps_order_and_closes(void)
{
    struct clv_queue *queue;
    REQUIRE_OK(clv_queue_create(&queue, 3));
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 3; i++)
            CHECK(clv_queue_push(queue, &values[i]));
        for (int i = 0; i < 3; i++)
            CHECK(clv_queue_pop(queue) == &values[i]);
    }
    CHECK(clv_queue_push(queue, &values[7]));
    clv_queue_close(queue);
    clv_queue_close(queue);
    CHECK(!clv_queue_push(queue, &values[8]));
    CHECK(clv_queue_pop(queue) == &values[7]);
    CHECK(clv_queue_pop(queue) == NULL);
    clv_queue_free(queue);
    clv_queue_free(NULL);
}

static void waits_no_longer_than_told(void)
{
    struct clv_queue *queue;
    bool timed_out = false;
    REQUIRE_OK(clv_queue_create(&queue, 1));
    double begun = clv_clock_seconds();
    CHECK(clv_queue_pop_for(queue, 30, &timed_out) == NULL);
    CHECK(timed_out);
    CHECK(clv_clock_seconds() - begun >= 0.029);
    CHECK(clv_queue_push(queue, &values[1]));
    CHECK(clv_queue_pop_for(queue, 1500, &timed_out) == &values[1]);
    CHECK(!timed_out);
    clv_queue_close(queue);
    timed_out = true;
    CHECK(clv_queue_pop_for(queue, 1500, &timed_out) == NULL);
    CHECK(!timed_out);
    clv_queue_free(queue);
}

static void *push_all(void *payload)
{
    for (int i = 0; i < 1000; i++)
        if (!clv_queue_push(payload, &values[i]))
            return payload;
    clv_queue_close(payload);
    return NULL;
}

static void passes_everything_between_threads(void)
{
    struct clv_queue *queue;
    pthread_t thread;
    void *result = NULL;
    bool timed_out;
    REQUIRE_OK(clv_queue_create(&queue, 4));
    REQUIRE(pthread_create(&thread, NULL, push_all, queue) == 0);
    for (int i = 0; i < 1000; i++)
        CHECK((i % 2 ? clv_queue_pop(queue) : clv_queue_pop_for(queue, 5000, &timed_out)) ==
              &values[i]);
    CHECK(clv_queue_pop(queue) == NULL);
    pthread_join(thread, &result);
    CHECK(result == NULL);
    clv_queue_free(queue);
}

/* A producer that waits for room is let go. */
static void closing_frees_a_waiting_producer(void)
{
    struct clv_queue *queue;
    pthread_t thread;
    void *result = NULL;
    REQUIRE_OK(clv_queue_create(&queue, 2));
    REQUIRE(pthread_create(&thread, NULL, push_all, queue) == 0);
    CHECK(clv_queue_pop(queue) == &values[0]);
    clv_queue_close(queue);
    pthread_join(thread, &result);
    CHECK(result == queue);
    clv_queue_free(queue);
}

int main(void)
{
    T_RUN(keeps_order_and_closes);
    T_RUN(waits_no_longer_than_told);
    T_RUN(passes_everything_between_threads);
    T_RUN(closing_frees_a_waiting_producer);
    return t_end();
}
