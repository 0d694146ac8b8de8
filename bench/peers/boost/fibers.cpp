// The measures of bench/runtime in Boost: Fiber, and the bare switch of Context.
#include <boost/context/fiber.hpp>
#include <boost/fiber/all.hpp>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>
#include <vector>

namespace fibers = boost::fibers;

// Time of the processor, as everywhere for what only computes.
static double now()
{
	timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return double(t.tv_sec) * 1e9 + double(t.tv_nsec);
}

static void report(double began, double count)
{
	std::printf("%.2f\n", (now() - began) / count);
}

static void context_switch()
{
	const int count = 20000000;
	boost::context::fiber other([](boost::context::fiber &&back) {
		for (;;)
			back = std::move(back).resume();
		return std::move(back);
	});
	double began = 0;
	// Warm-up first. No line for it: a division marks MXCSR as inexact on one side alone, and each
	// switch that then changes MXCSR takes 50 ns.
	for (int i = -count / 2; i < count / 2; i++) {
		if (i == 0)
			began = now();
		other = std::move(other).resume();
	}
	report(began, count);
	std::fflush(stdout);
	std::_Exit(0); // unwinding a fiber that never ends is not what is measured
}

static void switches()
{
	const int count = 4000000;
	auto often = [] {
		for (int i = 0; i < count / 2; i++)
			boost::this_fiber::yield();
	};
	double began = now();
	fibers::fiber one(often), two(often);
	one.join();
	two.join();
	report(began, count);
}

static void spawns(int count)
{
	fibers::pooled_fixedsize_stack stacks(64 << 10);
	std::vector<fibers::fiber> started(count);
	int rounds = 500000 / count;
	double began = 0;
	for (int i = -1; i < rounds; i++) {
		if (i == 0)
			began = now();
		for (auto &fiber : started)
			fiber = fibers::fiber(std::allocator_arg, stacks, [] {});
		for (auto &fiber : started)
			fiber.join();
	}
	report(began, double(rounds) * count);
}

static void handovers()
{
	const int count = 500000;
	fibers::unbuffered_channel<int> there, back;
	fibers::fiber answer([&] {
		int item;
		while (there.pop(item) == fibers::channel_op_status::success)
			back.push(item);
	});
	double began = now();
	for (int i = 0, item; i < count; i++) {
		there.push(i);
		if (back.pop(item) != fibers::channel_op_status::success || item != i)
			std::abort();
	}
	report(began, 2.0 * count);
	there.close();
	answer.join();
}

// KiB of memory of our own, and of the page tables that map it.
static long memory()
{
	std::ifstream status("/proc/self/status");
	long sum = 0, kib;
	for (std::string line; std::getline(status, line);)
		if (std::sscanf(line.c_str(), "RssAnon: %ld", &kib) == 1 ||
			std::sscanf(line.c_str(), "VmPTE: %ld", &kib) == 1)
			sum += kib;
	return sum;
}

static void parked(int count)
{
	fibers::mutex mutex;
	fibers::condition_variable never;
	long before = memory();
	for (int i = 0; i < count; i++)
		fibers::fiber(std::allocator_arg, fibers::protected_fixedsize_stack(64 << 10), [&] {
			std::unique_lock<fibers::mutex> lock(mutex);
			never.wait(lock);
		}).detach();
	boost::this_fiber::yield();
	std::printf("%.0f %d\n", 1024.0 * double(memory() - before) / count, count);
	std::fflush(stdout);
	std::_Exit(0);
}

// The last line counts: this is the warm round of those that have none inside.
static void twice(void (*measure)())
{
	measure();
	measure();
}

int main(int argc, char **argv)
{
	std::string what = argc > 1 ? argv[1] : "";
	int count = argc > 2 ? std::atoi(argv[2]) : 1;

	if (what == "context")
		context_switch();
	else if (what == "switch")
		twice(switches);
	else if (what == "spawn")
		spawns(count);
	else if (what == "handover")
		twice(handovers);
	else if (what == "parked")
		parked(count);
	else
		return 2;
	return 0;
}
