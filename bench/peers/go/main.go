// The measures of bench/runtime in Go: goroutines, channels, contexts, timers.
package main

import (
	"context"
	"fmt"
	"math/rand"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Time of the processor with one thread, as everywhere for what only computes; else that of the wall.
func clock() int64 {
	if runtime.GOMAXPROCS(0) > 1 {
		return time.Now().UnixNano()
	}
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func report(began int64, count int) {
	fmt.Printf("%.2f\n", float64(clock()-began)/float64(count))
}

func switches() {
	const count = 2000000
	var group sync.WaitGroup
	began := clock()
	for i := 0; i < 2; i++ {
		group.Add(1)
		go func() {
			for j := 0; j < count/2; j++ {
				runtime.Gosched()
			}
			group.Done()
		}()
	}
	group.Wait()
	report(began, count)
}

func spawnGroup(count int) {
	var group sync.WaitGroup
	group.Add(count)
	for i := 0; i < count; i++ {
		go group.Done()
	}
	group.Wait()
}

func spawns(count int) {
	rounds := 500000 / count
	spawnGroup(count)
	began := clock()
	for i := 0; i < rounds; i++ {
		spawnGroup(count)
	}
	report(began, rounds*count)
}

func handovers() {
	const count = 1000000
	there, back := make(chan int), make(chan int)
	go func() {
		for item := range there {
			back <- item
		}
	}()
	began := clock()
	for i := 0; i < count; i++ {
		there <- i
		if <-back != i {
			panic("another item")
		}
	}
	report(began, 2*count)
	close(there)
}

func timeouts() {
	const count = 500000
	began := clock()
	for i := 0; i < count; i++ {
		ctx, cancel := context.WithTimeout(context.Background(), 0)
		<-ctx.Done()
		cancel()
	}
	report(began, count)
}

func cancelGroup(count int) {
	var group sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	group.Add(count)
	for i := 0; i < count; i++ {
		go func() {
			<-ctx.Done()
			group.Done()
		}()
	}
	runtime.Gosched()
	cancel()
	group.Wait()
}

func cancels(count int) {
	rounds := 300000 / count
	cancelGroup(count)
	began := clock()
	for i := 0; i < rounds; i++ {
		cancelGroup(count)
	}
	report(began, rounds*count)
}

func within(most time.Duration) time.Duration {
	return time.Duration(rand.Int63n(int64(most)))
}

func timers(pending int) {
	const count = 2000000
	kept := make([]*time.Timer, pending)
	for i := range kept {
		kept[i] = time.AfterFunc(time.Second+within(59*time.Second), func() {})
	}
	began := clock()
	for i := 0; i < count; i++ {
		time.AfterFunc(within(time.Minute), func() {}).Stop()
	}
	report(began, count)
	runtime.KeepAlive(kept)
}

// Bytes of our own memory and of the page tables that map it.
func memory() int {
	text, _ := os.ReadFile("/proc/self/status")
	sum := 0
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, "RssAnon:") || strings.HasPrefix(line, "VmPTE:") {
			kib, _ := strconv.Atoi(strings.Fields(line)[1])
			sum += kib * 1024
		}
	}
	return sum
}

func parked(count int) {
	var begun sync.WaitGroup
	never := make(chan struct{})
	before := memory()
	begun.Add(count)
	for i := 0; i < count; i++ {
		go func() {
			begun.Done()
			<-never
		}()
	}
	begun.Wait()
	runtime.Gosched()
	fmt.Printf("%d %d\n", (memory()-before)/count, count)
}

func converse(connection net.Conn) {
	defer connection.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if _, err := connection.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func echo() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	for {
		connection, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go converse(connection)
	}
}

// The last line counts: this is the warm round of those that have none inside.
func twice(measure func()) {
	measure()
	measure()
}

func main() {
	count := 0
	if len(os.Args) > 2 {
		count, _ = strconv.Atoi(os.Args[2])
	}
	switch os.Args[1] {
	case "switch":
		twice(switches)
	case "spawn":
		spawns(count)
	case "handover":
		twice(handovers)
	case "timeout":
		twice(timeouts)
	case "cancel":
		cancels(count)
	case "timers":
		timers(count)
	case "parked":
		parked(count)
	case "echo":
		echo()
	default:
		os.Exit(2)
	}
}
