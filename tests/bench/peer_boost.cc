/* SPDX-License-Identifier: MIT */
/* Boost.Interprocess; compiled if configure finds it. */
#include "team.h"

#include <boost/interprocess/sync/interprocess_condition.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <boost/interprocess/sync/interprocess_recursive_mutex.hpp>
#include <boost/interprocess/sync/interprocess_semaphore.hpp>
#include <boost/interprocess/sync/scoped_lock.hpp>
#include <new>

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

} // namespace

extern "C" {
const struct job boost_mutex = {set_up<ipc::interprocess_mutex>, lock_work<ipc::interprocess_mutex>, stage_value};
const struct job boost_recursive_mutex = {set_up<ipc::interprocess_recursive_mutex>,
                                          nested_work<ipc::interprocess_recursive_mutex>, stage_value};
const struct job boost_semaphore = {semaphore_set_up, semaphore_work, stage_value};
const struct job boost_condition = {set_up<monitor>, turn_work, nullptr};
const struct job boost_event = {event_set_up, event_work, nullptr};
}
