// SPDX-License-Identifier: MIT
// Scopes in C++: an exception leaves them as return does.
#include <ipckit.h>

#include <cstdio>

static int thrown_through(ipck_lock *lock, ipck_rlock *rlock)
{
	int rc, again;

	try {
		IPCK_WITH_LOCK(lock, IPCK_FOREVER, &rc)
			IPCK_WITH_RLOCK(rlock, ipck_in_ms(500), &again)
				throw rc + again + 3;
	} catch (int thrown) {
		return thrown;
	}
	return 0;
}

int main()
{
	ipck_semaphore_opts opts = IPCK_SEMAPHORE_OPTS_INIT;
	ipck_semaphore semaphore;
	ipck_rlock rlock;
	ipck_lock lock;
	int rc, passed = 0;

	opts.bound = 1;
	if (ipck_lock_init(&lock) < 0 || ipck_rlock_init(&rlock) < 0 || ipck_semaphore_init(&semaphore, 1, &opts) < 0)
		return 1;
	if (thrown_through(&lock, &rlock) != 3 || ipck_lock_locked(&lock) || ipck_rlock_locked(&rlock))
		return 2;
	IPCK_WITH_SEMAPHORE(&semaphore, IPCK_NOWAIT, &rc)
		passed += ipck_semaphore_value(&semaphore) == 0;
	if (rc != 0 || passed != 1 || ipck_semaphore_value(&semaphore) != 1)
		return 3;
	std::puts("left");
}
