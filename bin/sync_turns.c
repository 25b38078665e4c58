/* SPDX-License-Identifier: MIT */
/* ipc-sync: conditions; a store that is full or empty, and parties that take turns. */
#include <ipckit.h>

#include "party.h"
#include "shared.h"
#include "sync_modes.h"

/* ---- condition ---- */

#define STORE_ROOM 5
#define STORE_ITEMS 20

struct store {
	struct ipck_condition changed;
	long items;
};

struct trader {
	struct store *store;
	long pause_ms;
};

/* Waits, with the lock held, while the store is as it should not be; tells so once. */
static int wait_while(struct store *store, long items, const char *remark)
{
	int rc = 0;

	if (store->items == items)
		tool_print("%s\n", remark);
	while (store->items == items && rc == 0)
		rc = ipck_condition_wait(&store->changed, IPCK_FOREVER);
	return rc;
}

static int produce_one(struct store *store)
{
	int rc = wait_while(store, STORE_ROOM, "Producer notify: the store is full, stop production");

	if (rc != 0)
		return rc;
	store->items++;
	tool_print("Producer notify: produced 1 item, items in the store: %ld\n", store->items);
	return ipck_condition_notify(&store->changed, 1);
}

static int consume_one(struct store *store)
{
	int rc = wait_while(store, 0, "Consumer notify: no item to consume");

	if (rc != 0)
		return rc;
	store->items--;
	tool_print("Consumer notify: consumed 1 item, items in the store: %ld\n", store->items);
	return ipck_condition_notify(&store->changed, 1);
}

/* Twenty times, with a pause before each: one of the two above, with the lock held. */
static int trade(const struct trader *trader, int (*one)(struct store *store))
{
	struct store *store = trader->store;
	int status = 0;

	for (int i = 0; i < STORE_ITEMS && status == 0; i++) {
		int rc, done = 0;

		tool_pause(trader->pause_ms);
		IPCK_WITH_CONDITION(&store->changed, IPCK_FOREVER, &rc)
			done = one(store);
		status = shared_check("condition", rc != 0 ? rc : done);
	}
	return status;
}

static int produce(void *arg)
{
	return trade(arg, produce_one);
}

static int consume(void *arg)
{
	return trade(arg, consume_one);
}

static int run_store(void *shared, const struct tool_args *args)
{
	struct store *store = shared;
	struct trader producer = {store, args->pause_ms}, consumer = {store, 2 * args->pause_ms};
	struct party party[2] = {{.fn = produce, .arg = &producer}, {.fn = consume, .arg = &consumer}};
	int status = shared_check("condition", ipck_condition_init(&store->changed, NULL));

	return status != 0 ? status : parties_run_together(party, 2, args->threads);
}

int sync_condition(const struct tool_args *args)
{
	return shared_run(sizeof(struct store), run_store, args);
}

/* ---- turns ---- */

#define PLAYERS_MAX 3

/* The lines are said in turn by the players, who all wait at one condition. */
struct game {
	struct ipck_condition changed;
	int turn; /* how many lines have been said */
};

struct player {
	struct game *game;
	const char *const *lines; /* of all, in the order in which they are said, again and again */
	int n_lines, place, players, turns;
	long pause_ms;
};

/* Says the line of that turn when it comes; called with the lock held. */
static int say(const struct player *player, int turn)
{
	struct game *game = player->game;
	int rc = 0;

	while (game->turn != turn && rc == 0)
		rc = ipck_condition_wait(&game->changed, IPCK_FOREVER);
	if (rc != 0)
		return rc;
	tool_print("%s\n", player->lines[turn % player->n_lines]);
	game->turn++;
	return ipck_condition_notify_all(&game->changed);
}

static int play(void *arg)
{
	const struct player *player = arg;
	int status = 0;

	for (int turn = player->place; turn < player->turns && status == 0; turn += player->players) {
		int rc, said = 0;

		tool_pause(player->pause_ms);
		IPCK_WITH_CONDITION(&player->game->changed, IPCK_FOREVER, &rc)
			said = say(player, turn);
		status = shared_check("condition", rc != 0 ? rc : said);
	}
	return status;
}

/* So many of what `first` says, who differ in their place only. */
static int run_game(struct game *game, struct player first, const struct tool_args *args)
{
	struct player player[PLAYERS_MAX];
	struct party party[PLAYERS_MAX];
	int status = shared_check("condition", ipck_condition_init(&game->changed, NULL));

	first.game = game;
	first.pause_ms = args->pause_ms;
	for (int i = 0; i < first.players; i++) {
		player[i] = first;
		player[i].place = i;
		party[i] = (struct party){.fn = play, .arg = &player[i]};
	}
	return status != 0 ? status : parties_run_together(party, (size_t)first.players, args->threads);
}

static int run_abc(void *shared, const struct tool_args *args)
{
	static const char *const letters[] = {"A", "B", "C"};

	return run_game(shared, (struct player){.lines = letters, .n_lines = 3, .players = 3, .turns = 30}, args);
}

int sync_abc(const struct tool_args *args)
{
	return shared_run(sizeof(struct game), run_abc, args);
}

static int run_haggle(void *shared, const struct tool_args *args)
{
	static const char *const remarks[] = {
		"buyer: How much is this teapot?",
		"seller: Forty, and it does not drip.",
		"buyer: Twenty, and I carry it home myself.",
		"seller: Thirty, and I wrap it.",
		"buyer: Twenty-five, and I tell nobody.",
		"seller: It is yours.",
	};

	return run_game(shared, (struct player){.lines = remarks, .n_lines = 6, .players = 2, .turns = 6}, args);
}

int sync_haggle(const struct tool_args *args)
{
	return shared_run(sizeof(struct game), run_haggle, args);
}
