// SPDX-License-Identifier: GPL-2.0
/* Lock owners under the numbers that a daemon knows, see owner.h. */

#include <linux/fuse.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/rhashtable.h>
#include <linux/slab.h>

#include "defer.h"
#include "hook.h"
#include "layout.h"
#include "owner.h"

struct fusecr_owner {
	struct list_head entry;		/* on table->owners */
	struct table *table;
	struct rhash_head by_made;
	struct rhash_head by_told;
	u64 made;			/* by fuse */
	u64 told;
	struct rcu_head rcu;
};

/*
 * Of one connection.  No number is told for two owners.  One that fuse makes for
 * an owner that is not here could be told for one that is; but both are hashes
 * of 64 bits, of different keys.
 */
struct table {
	struct list_head entry;		/* on tables */
	const struct fuse_iqueue *fiq;
	struct fusecr_hook *hook;
	struct list_head owners;
	struct rhashtable by_made;
	struct rhashtable by_told;
};

static const struct rhashtable_params made_params = {
	.head_offset = offsetof(struct fusecr_owner, by_made),
	.key_offset = offsetof(struct fusecr_owner, made),
	.key_len = sizeof(u64),
	.automatic_shrinking = true,
};

static const struct rhashtable_params told_params = {
	.head_offset = offsetof(struct fusecr_owner, by_told),
	.key_offset = offsetof(struct fusecr_owner, told),
	.key_len = sizeof(u64),
	.automatic_shrinking = true,
};

/* All changes are made under tables_lock, lookups under RCU. */
static LIST_HEAD(tables);
static DEFINE_MUTEX(tables_lock);

/* Caller holds tables_lock or rcu_read_lock(). */
static struct table *find_table(const struct fuse_iqueue *fiq)
{
	struct table *table;

	list_for_each_entry_rcu(table, &tables, entry,
				lockdep_is_held(&tables_lock))
		if (table->fiq == fiq)
			return table;
	return NULL;
}

/* --- what the daemon is told --------------------------------------------------- */

#define XTEA_ROUNDS	32
#define XTEA_DELTA	0x9E3779B9

/* XTEA of the address, the low half first, as fuse_lock_owner_id() has it. */
static u64 made_of(const struct fuse_conn *fc, const void *owner)
{
	const u32 *key = fl_conn_scramble_key(fc);
	u64 address = (unsigned long)owner;
	u32 lo = lower_32_bits(address), hi = upper_32_bits(address), sum = 0;
	unsigned int i;

	for (i = 0; i < XTEA_ROUNDS; i++) {
		lo += (((hi << 4) ^ (hi >> 5)) + hi) ^ (sum + key[sum & 3]);
		sum += XTEA_DELTA;
		hi += (((lo << 4) ^ (lo >> 5)) + lo) ^
		      (sum + key[(sum >> 11) & 3]);
	}
	return (u64)hi << 32 | lo;
}

static u64 told_for(const struct fuse_iqueue *fiq, u64 made)
{
	const struct fusecr_owner *owner = NULL;
	struct table *table;

	rcu_read_lock();
	table = find_table(fiq);
	if (table)
		owner = rhashtable_lookup(&table->by_made, &made, made_params);
	if (owner)
		made = owner->told;
	rcu_read_unlock();
	return made;
}

u64 fusecr_owner_id(const struct fuse_conn *fc, const void *owner)
{
	return told_for(fl_conn_iqueue(fc), made_of(fc, owner));
}

/* Where the first argument of a request tells an owner, or NULL. */
static u64 *owner_in(const struct fuse_req *req)
{
	const struct fuse_args *args = *fl_req_args(req);
	union {
		struct fuse_lk_in lk;
		struct fuse_flush_in flush;
		struct fuse_release_in release;
		struct fuse_read_in read;
		struct fuse_write_in write;
		struct fuse_setattr_in setattr;
	} *in;
	u32 size;

#define OWNER(member, owner, condition)					\
	(size >= sizeof(in->member) && (condition) ? &in->member.owner : NULL)

	if (!args || !fl_args_in_count(args))
		return NULL;
	/* The sender's own, and as good as const: nobody reads it later. */
	in = (void *)fl_args_in_value(args, 0);
	size = fl_args_in_size(args, 0);
	switch (fl_req_in_h(req)->opcode) {
	case FUSE_GETLK:
	case FUSE_SETLK:
	case FUSE_SETLKW:
		return OWNER(lk, owner, true);
	case FUSE_FLUSH:
		return OWNER(flush, lock_owner, true);
	case FUSE_RELEASE:
		return OWNER(release, lock_owner,
			     in->release.release_flags &
			     FUSE_RELEASE_FLOCK_UNLOCK);
	case FUSE_READ:
		return OWNER(read, lock_owner,
			     in->read.read_flags & FUSE_READ_LOCKOWNER);
	case FUSE_WRITE:
		return OWNER(write, lock_owner,
			     in->write.write_flags & FUSE_WRITE_LOCKOWNER);
	case FUSE_SETATTR:
		return OWNER(setattr, lock_owner,
			     in->setattr.valid & FATTR_LOCKOWNER);
	}
	return NULL;
#undef OWNER
}

void fusecr_owner_exchange(const struct fuse_iqueue *fiq,
			   const struct fuse_req *req)
{
	u64 *owner;

	if (list_empty(&tables))
		return;
	owner = owner_in(req);
	if (owner)
		*owner = told_for(fiq, *owner);
}

/* --- tables --------------------------------------------------------------------- */

/* Those who were told of it under RCU, and the module. */
static void table_free(void *arg)
{
	struct table *table = arg;
	struct fusecr_owner *owner, *next;

	synchronize_rcu();
	rhashtable_destroy(&table->by_made);
	rhashtable_destroy(&table->by_told);
	list_for_each_entry_safe(owner, next, &table->owners, entry)
		kfree(owner);
	kfree(table);
	module_put(THIS_MODULE);
}

/* Of a connection whose queue stays fuse's, or ours, to its end. */
static struct table *table_new(const struct fuse_conn *fc)
{
	struct table *table;
	int err = -ENOMEM;

	if (!fl_has(FL_OPS_RELEASE) || fl_conn_uses_uring(fc))
		return ERR_PTR(-EOPNOTSUPP);
	table = kzalloc(sizeof(*table), GFP_KERNEL_ACCOUNT);
	if (!table)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&table->owners);
	table->fiq = fl_conn_iqueue(fc);
	if (rhashtable_init(&table->by_made, &made_params))
		goto err_made;
	if (rhashtable_init(&table->by_told, &told_params))
		goto err_told;
	table->hook = fusecr_hook_get(fc, false);
	err = PTR_ERR_OR_ZERO(table->hook);
	if (err)
		goto err_hook;
	__module_get(THIS_MODULE);
	list_add_rcu(&table->entry, &tables);
	return table;

err_hook:
	rhashtable_destroy(&table->by_told);
err_told:
	rhashtable_destroy(&table->by_made);
err_made:
	kfree(table);
	return ERR_PTR(err);
}

/* Caller holds tables_lock. */
static void table_end(struct table *table)
{
	lockdep_assert_held(&tables_lock);
	list_del_rcu(&table->entry);
	fusecr_hook_put(table->hook, false);
	fusecr_defer(table_free, table);
}

void fusecr_owner_conn_ends(const struct fuse_iqueue *fiq)
{
	struct table *table;

	mutex_lock(&tables_lock);
	table = find_table(fiq);
	if (table)
		table_end(table);
	mutex_unlock(&tables_lock);
}

/* --- owners ----------------------------------------------------------------------- */

/* Both tables or none. */
static int insert(struct table *table, struct fusecr_owner *owner)
{
	int err;

	err = rhashtable_lookup_insert_fast(&table->by_told, &owner->by_told,
					    told_params);
	if (err)
		return err;
	err = rhashtable_lookup_insert_fast(&table->by_made, &owner->by_made,
					    made_params);
	if (err)
		rhashtable_remove_fast(&table->by_told, &owner->by_told,
				       told_params);
	return err;
}

/* Caller holds tables_lock. */
static struct fusecr_owner *add(struct table *table, u64 made, u64 told)
{
	struct fusecr_owner *owner;
	int err;

	lockdep_assert_held(&tables_lock);
	if (told_for(table->fiq, made) == told)
		return NULL;
	owner = kzalloc(sizeof(*owner), GFP_KERNEL_ACCOUNT);
	if (!owner)
		return ERR_PTR(-ENOMEM);
	owner->table = table;
	owner->made = made;
	owner->told = told;
	err = insert(table, owner);
	if (err) {
		/* It may have been seen by told_for(), a moment long. */
		kfree_rcu(owner, rcu);
		return ERR_PTR(err == -EEXIST ? err : -ENOMEM);
	}
	list_add(&owner->entry, &table->owners);
	return owner;
}

struct fusecr_owner *fusecr_owner_set(const struct fuse_conn *fc,
				      const void *owner, u64 id)
{
	struct fusecr_owner *set;
	struct table *table;

	mutex_lock(&tables_lock);
	table = find_table(fl_conn_iqueue(fc));
	if (!table)
		table = table_new(fc);
	if (IS_ERR(table)) {
		set = ERR_CAST(table);
	} else {
		set = add(table, made_of(fc, owner), id);
		if (list_empty(&table->owners))
			table_end(table);
	}
	mutex_unlock(&tables_lock);
	return set;
}

void fusecr_owner_unset(struct fusecr_owner *owner)
{
	struct table *table;

	if (!owner)
		return;
	table = owner->table;
	mutex_lock(&tables_lock);
	list_del(&owner->entry);
	rhashtable_remove_fast(&table->by_made, &owner->by_made, made_params);
	rhashtable_remove_fast(&table->by_told, &owner->by_told, told_params);
	kfree_rcu(owner, rcu);
	if (list_empty(&table->owners))
		table_end(table);
	mutex_unlock(&tables_lock);
}
