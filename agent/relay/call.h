/* Runs a function on a loop's thread and waits for it: for rare things such as a reload. */
#ifndef AGENT_RELAY_CALL_H
#define AGENT_RELAY_CALL_H

struct loop;

/* The loop must be running, and must not be this thread's. */
void call_on_loop(struct loop *loop, void (*function)(void *context), void *context);

#endif
