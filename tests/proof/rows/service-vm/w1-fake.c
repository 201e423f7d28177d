// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * A 1-Wire master with one DS18B20 on it, 28-0000001234ab, for the kernel's own drivers to find and read.
 *
 *   millidegrees  the temperature
 *   silent        the bus does not answer: whoever reads hangs in the kernel until this is off again, or is killed
 *
 * Commands and the scratchpad are those of the DS18B20's data sheet. A real master puts bits on a wire; this one answers where the
 * kernel asks for whole bytes.
 */
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/w1.h>

#define MATCH_ROM 0x55
#define READ_SCRATCHPAD 0xbe

static int millidegrees = 21500;
module_param(millidegrees, int, 0644);
static bool silent;
module_param(silent, bool, 0644);

/* Family, number from its lowest byte on, checksum. */
static u8 rom[8] = { 0x28, 0xab, 0x34, 0x12 };
static u8 scratchpad[9];
/* Bytes of the address that are still to come, and of the scratchpad that are still to be read. */
static int address_left, scratchpad_left;

static u8 checksum(const u8 *bytes, int count)
{
	u8 sum = 0;

	for (; count; count--, bytes++) {
		sum ^= *bytes;
		for (int bit = 0; bit < 8; bit++)
			sum = sum & 1 ? (sum >> 1) ^ 0x8c : sum >> 1;
	}
	return sum;
}

static void fill_scratchpad(void)
{
	/* Sixteenths of a degree; no alarms; 12 bits; as the data sheet's power-on state. */
	int sixteenths = millidegrees * 16 / 1000;
	const u8 bytes[8] = { sixteenths, sixteenths >> 8, 0x4b, 0x46, 0x7f, 0xff, 0x0c, 0x10 };

	memcpy(scratchpad, bytes, sizeof(bytes));
	scratchpad[8] = checksum(scratchpad, 8);
	scratchpad_left = sizeof(scratchpad);
}

/* 0: somebody is there. */
static u8 reset_bus(void *unused)
{
	address_left = 0;
	scratchpad_left = 0;
	return 0;
}

static void write_byte(void *unused, u8 byte)
{
	if (address_left)
		address_left--;
	else if (byte == MATCH_ROM)
		address_left = sizeof(rom);
	else if (byte == READ_SCRATCHPAD)
		fill_scratchpad();
}

static u8 read_byte(void *unused)
{
	while (READ_ONCE(silent) && !fatal_signal_pending(current))
		schedule_timeout_killable(HZ / 10);
	if (scratchpad_left)
		return scratchpad[sizeof(scratchpad) - scratchpad_left--];
	/* Idle, hence also "the conversion is done". */
	return 0xff;
}

static u8 touch_bit(void *unused, u8 bit)
{
	return 1;
}

static void search(void *unused, struct w1_master *master, u8 type, w1_slave_found_callback found)
{
	u64 number = 0;

	for (int at = 7; at >= 0; at--)
		number = number << 8 | rom[at];
	found(master, number);
}

static struct w1_bus_master bus = {
	.read_byte = read_byte,
	.write_byte = write_byte,
	.reset_bus = reset_bus,
	.touch_bit = touch_bit,
	.search = search,
};

static int __init start(void)
{
	rom[7] = checksum(rom, 7);
	return w1_add_master_device(&bus);
}

static void __exit end(void)
{
	w1_remove_master_device(&bus);
}

module_init(start);
module_exit(end);
MODULE_DESCRIPTION("1-Wire master with a DS18B20 that is not there");
MODULE_LICENSE("Dual MIT/GPL");
