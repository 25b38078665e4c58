/* SPDX-License-Identifier: MIT */
/* Boost.Interprocess's unordered_map, with one lock around it; compiled if configure finds it. */
#include "map.h"

#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/managed_shared_memory.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <boost/interprocess/sync/interprocess_sharable_mutex.hpp>
#include <boost/interprocess/sync/scoped_lock.hpp>
#include <boost/interprocess/sync/sharable_lock.hpp>
#include <boost/unordered_map.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <unistd.h>

namespace ipc = boost::interprocess;

namespace
{

template <size_t size> struct bytes {
	char byte[size];
};

typedef ipc::scoped_lock<ipc::interprocess_mutex> mutex_lock;
typedef ipc::sharable_lock<ipc::interprocess_sharable_mutex> sharable_lock;

/* Values of this size; those who only read take Reading. */
template <class Mutex, class Reading, size_t size> struct table {
	typedef std::pair<const uint64_t, bytes<size>> item;
	typedef ipc::allocator<item, ipc::managed_shared_memory::segment_manager> allocator;
	typedef boost::unordered_map<uint64_t, bytes<size>, boost::hash<uint64_t>, std::equal_to<uint64_t>, allocator>
		items;

	static Mutex *mutex;
	static items *map;

	static int get(uint64_t key, void *value)
	{
		Reading lock(*mutex);
		typename items::const_iterator found = map->find(key);

		if (found == map->end())
			return -ENOENT;
		memcpy(value, &found->second, size);
		return 0;
	}

	static int set(uint64_t key, const void *value)
	{
		ipc::scoped_lock<Mutex> lock(*mutex);

		memcpy(&(*map)[key], value, size);
		return 0;
	}

	static int make(struct map *m, ipc::managed_shared_memory *memory, size_t keys)
	{
		mutex = memory->construct<Mutex>(ipc::unique_instance)();
		map = memory->construct<items>(ipc::unique_instance)(
			keys, boost::hash<uint64_t>(), std::equal_to<uint64_t>(), memory->get_segment_manager());
		*m = {nullptr, get, set, nullptr};
		return 0;
	}
};

template <class Mutex, class Reading, size_t size> Mutex *table<Mutex, Reading, size>::mutex;
template <class Mutex, class Reading, size_t size>
typename table<Mutex, Reading, size>::items *table<Mutex, Reading, size>::map;

/* An item has a block's header, two words of the map, and its part of a table of up to 2 words an item. */
ipc::managed_shared_memory *make_memory(const struct map_shape *shape)
{
	size_t size = (1 << 20) + shape->keys * (shape->value + 96);
	ipc::managed_shared_memory *memory;
	char name[64];

	snprintf(name, sizeof(name), "ipckit-bench-%d", (int)getpid());
	memory = new ipc::managed_shared_memory(ipc::create_only, name, size);
	ipc::shared_memory_object::remove(name);
	return memory;
}

template <class Mutex, class Reading> int make(struct map *m, const struct map_shape *shape)
{
	try {
		ipc::managed_shared_memory *memory = make_memory(shape);

		switch (shape->value) {
		case 8:
			return table<Mutex, Reading, 8>::make(m, memory, shape->keys);
		case 100:
			return table<Mutex, Reading, 100>::make(m, memory, shape->keys);
		case 4096:
			return table<Mutex, Reading, 4096>::make(m, memory, shape->keys);
		}
		return -EINVAL;
	} catch (const std::exception &) {
		return -ENOMEM;
	}
}

} // namespace

extern "C" int peer_boost_map(struct map *map, const struct map_shape *shape)
{
	return make<ipc::interprocess_mutex, mutex_lock>(map, shape);
}

extern "C" int peer_boost_sharable_map(struct map *map, const struct map_shape *shape)
{
	return make<ipc::interprocess_sharable_mutex, sharable_lock>(map, shape);
}
