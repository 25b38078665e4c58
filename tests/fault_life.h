/* SPDX-License-Identifier: MIT */
/*
 * How an object in a segment begins and ends while system calls fail: what the tests of failing heaps, dicts and
 * arrays share.  They define `life` and sweep life_scenarios.
 */
#ifndef TESTS_FAULT_LIFE_H
#define TESTS_FAULT_LIFE_H

#include "fault_queue_calls.h"
#include "fault_sweep.h"

#include <sys/stat.h>

struct life {
	int (*create)(void **out, const char *name);
	int (*open)(void **out, const char *name);
	int (*open_fd)(void **out, int fd);
	int (*fd)(const void *object);
	void (*close)(void *object);
	int (*unlink)(const char *name);
	void (*mark)(void *object);   /* stores something */
	void (*marked)(void *object); /* it is there, the object is whole, and all of it works */
};

static const struct life life;
static const char *life_name; /* of the object, or NULL */
static void *object, *other;

static unsigned lacking;

static inline void life_lack(unsigned lacks)
{
	lacking = lacks;
	fault_lack(lacks);
}

/* ---- create ---- */

static inline void forget_anonymous(void)
{
	life_name = NULL;
	object = UNTOUCHED;
}

static inline void forget_named(void)
{
	life_name = test_name("fault");
	object = UNTOUCHED;
}

static inline void forget_and_close_streams(void)
{
	forget_named();
	close_streams();
}

/* Without O_TMPFILE a file that was not filled may keep the name: who creates next takes it over. */
static inline void remove_unfilled(void)
{
	void *filled = NULL;
	const char *call;
	int error;

#ifdef HAVE_O_TMPFILE
	if (!lacking)
		return;
#endif
	fault_disarm(&call, &error);
	if (life_name && life.open(&filled, life_name) == -ENOENT)
		(void)life.unlink(life_name);
	life.close(filled);
}

static inline int create(void)
{
	int rc = life.create(&object, life_name);

	if (rc < 0)
		remove_unfilled();
	return rc;
}

static inline void none_created(void)
{
	void *none = UNTOUCHED;

	ck_that(object == UNTOUCHED);
	if (life_name)
		ck_err(life.open(&none, life_name), ENOENT);
	ck_that(none == UNTOUCHED);
}

static inline void end(void)
{
	life.marked(object);
	life.close(object);
	if (life_name)
		ck_ok(life.unlink(life_name));
}

static inline void use_created(void)
{
	life.mark(object);
	end();
}

/* ---- open, or create what is there ---- */

static inline void make_marked(void)
{
	ck_ok(life.create(&object, life_name));
	life.mark(object);
	other = UNTOUCHED;
}

static inline void make_anonymous(void)
{
	life_name = NULL;
	make_marked();
}

static inline void make_named(void)
{
	life_name = test_name("fault");
	make_marked();
}

static inline void make_and_close_streams(void)
{
	make_named();
	close_streams();
}

static inline void end_and_reopen_streams(void)
{
	end();
	reopen_streams();
}

static inline int create_taken(void)
{
	int rc = life.create(&other, life_name);

	ck_that(rc < 0);
	return rc == -EEXIST ? 0 : rc;
}

static inline void is_still_there(void)
{
	void *again = NULL;

	ck_that(other == UNTOUCHED);
	life.marked(object);
	ck_ok(life.open(&again, life_name));
	life.marked(again);
	life.close(again);
}

static inline int open_by_name(void)
{
	return life.open(&other, life_name);
}

static inline int open_by_fd(void)
{
	return life.open_fd(&other, life.fd(object));
}

static inline void not_open(void)
{
	ck_that(other == UNTOUCHED);
	life.marked(object);
}

static inline void use_open(void)
{
	life.marked(other);
	life.close(other);
	other = UNTOUCHED;
}

/* ---- close, unlink ---- */

static inline void make_open(void)
{
	make_named();
	ck_ok(open_by_name());
}

/* What cannot fail: nothing that it does needs anything. */
static inline int close_open(void)
{
	life.close(other);
	other = UNTOUCHED;
	return 0;
}

static inline void make_to_unlink(void)
{
	make_named();
	fault_unlinking(true);
}

static inline int remove_name(void)
{
	return life.unlink(life_name);
}

static inline void has_no_name(void)
{
	void *none = UNTOUCHED;

	fault_unlinking(false);
	ck_err(life.open(&none, life_name), ENOENT);
	ck_that(none == UNTOUCHED);
}

static inline void end_nameless(void)
{
	life_name = NULL;
	end();
}

/* In the way of a name is also what cannot be read: nobody has proven that it is free. */
static const struct scenario life_scenarios[] = {
	{"create", forget_anonymous, create, none_created, use_created, nothing, 0, 5},
	{"create, named", forget_named, create, none_created, use_created, nothing, EEXIST, 8},
	{"create, no stdio", forget_and_close_streams, create, none_created, use_created, reopen_streams, EEXIST, 8},
	{"create, taken", make_named, create_taken, is_still_there, is_still_there, end, 0, 3},
	{"open", make_named, open_by_name, is_still_there, use_open, end, 0, 5},
	{"open, no stdio", make_and_close_streams, open_by_name, not_open, use_open, end_and_reopen_streams, 0, 6},
	{"open fd", make_anonymous, open_by_fd, not_open, use_open, end, 0, 5},
	{"close", make_open, close_open, nothing, nothing, end, 0, 0},
	{"unlink", make_to_unlink, remove_name, is_still_there, has_no_name, end_nameless, 0, 2},
};

/* ---- the sweep ---- */

static inline void sweep_both(const struct scenario *s)
{
	warm_up(s);
	sweep(s, 0, FAULT_ONCE);
	sweep(s, 0, FAULT_ON);
}

/* On each way in which the memory is made. */
static const unsigned life_lacks[] = {LACK_NOTHING, LACK_TMPFILE, LACK_PROC, LACK_MEMFD};

static inline void sweep_life(const struct scenario *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(life_lacks); i++) {
		life_lack(life_lacks[i]);
		sweep_both(s);
	}
	life_lack(LACK_NOTHING);
}

#endif
