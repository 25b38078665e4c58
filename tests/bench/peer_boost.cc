/* SPDX-License-Identifier: MIT */
/* Boost.Interprocess; compiled if configure finds it. */
#include "team.h"

#include <boost/interprocess/ipc/message_queue.hpp>
#include <boost/interprocess/sync/interprocess_condition.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <boost/interprocess/sync/interprocess_recursive_mutex.hpp>
#include <boost/interprocess/sync/interprocess_semaphore.hpp>
#include <boost/interprocess/sync/scoped_lock.hpp>
#include <cerrno>
#include <cstdio>
#include <new>
#include <unistd.h>

#include "channel.h"

namespace ipc = boost::interprocess;

namespace
{

struct monitor {
	ipc::interprocess_mutex mutex;
	ipc::interprocess_condition condition;
};

typedef ipc::scoped_lock<ipc::interprocess_mutex> scoped_lock;

template <class T> T *object()
{
	return reinterpret_cast<T *>(stage->object);
}

template <class T> int set_up(int)
{
	new (stage->object) T;
	return 0;
}

template <class T> int lock_work(int, long n)
{
	for (; n > 0; n--) {
		object<T>()->lock();
		stage->value++;
		object<T>()->unlock();
	}
	return 0;
}

template <class T> int nested_work(int, long n)
{
	for (; n > 0; n--) {
		object<T>()->lock();
		object<T>()->lock();
		stage->value++;
		object<T>()->unlock();
		object<T>()->unlock();
	}
	return 0;
}

int semaphore_set_up(int)
{
	new (stage->object) ipc::interprocess_semaphore(1);
	return 0;
}

int semaphore_work(int, long n)
{
	for (; n > 0; n--) {
		object<ipc::interprocess_semaphore>()->wait();
		stage->value++;
		object<ipc::interprocess_semaphore>()->post();
	}
	return 0;
}

int turn_work(int member, long n)
{
	monitor *m = object<monitor>();

	for (; n > 0; n--) {
		scoped_lock lock(m->mutex);

		while (stage->value % 2 != (uint64_t)member)
			m->condition.wait(lock);
		stage->value++;
		m->condition.notify_one();
	}
	return 0;
}

int event_set_up(int members)
{
	set_up<monitor>(members);
	return answers_set_up(members - 1);
}

int begin_round()
{
	{
		scoped_lock lock(object<monitor>()->mutex);

		stage->value++;
		object<monitor>()->condition.notify_all();
	}
	return answers_await();
}

int take_part(uint64_t round)
{
	{
		scoped_lock lock(object<monitor>()->mutex);

		while (stage->value < round)
			object<monitor>()->condition.wait(lock);
	}
	return answer_give();
}

int event_work(int member, long n)
{
	static uint64_t round;
	int rc = 0;

	for (; n > 0 && rc >= 0; n--)
		rc = member == 0 ? begin_round() : take_part(++round);
	return rc;
}

/* Of one side what it receives from, and what it sends to. */
ipc::message_queue *queues[2], *in, *out;

void take_queue_side(int side)
{
	in = queues[side];
	out = queues[!side];
}

int send_queue(const void *data, size_t size)
{
	out->send(data, size, 0);
	return 0;
}

ssize_t recv_queue(void *data, size_t room)
{
	ipc::message_queue::size_type size;
	unsigned int priority;

	in->receive(data, room, size, priority);
	return (ssize_t)size;
}

/* 1 MiB of messages, but at most 1024; four large ones. */
size_t depth(size_t size)
{
	size_t n = (1 << 20) / size;

	return n > 1024 ? 1024 : n < 4 ? 4 : n;
}

} // namespace

extern "C" int peer_boost_queue(struct channel *c, size_t size)
{
	char name[64];

	for (int i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "ipckit-bench-%d-%d", (int)getpid(), i);
		try {
			queues[i] = new ipc::message_queue(ipc::create_only, name, depth(size), size);
		} catch (const ipc::interprocess_exception &) {
			return -EIO;
		}
		ipc::message_queue::remove(name);
	}
	*c = {take_queue_side, send_queue, recv_queue};
	return 0;
}

extern "C" {
const struct job boost_mutex = {set_up<ipc::interprocess_mutex>, lock_work<ipc::interprocess_mutex>, stage_value};
const struct job boost_recursive_mutex = {set_up<ipc::interprocess_recursive_mutex>,
                                          nested_work<ipc::interprocess_recursive_mutex>, stage_value};
const struct job boost_semaphore = {semaphore_set_up, semaphore_work, stage_value};
const struct job boost_condition = {set_up<monitor>, turn_work, nullptr};
const struct job boost_event = {event_set_up, event_work, nullptr};
}
