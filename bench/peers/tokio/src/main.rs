//! The measures of bench/runtime in tokio, on its runtime of one thread.

use std::future::pending;
use std::pin::Pin;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::{spawn, spawn_blocking, yield_now};
use tokio::time::{sleep, Sleep};

/// Nanoseconds of the processor, as everywhere for what only computes.
fn clock() -> f64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut t) };
    t.tv_sec as f64 * 1e9 + t.tv_nsec as f64
}

fn report(began: f64, count: usize) {
    println!("{:.2}", (clock() - began) / count as f64);
}

async fn switches() {
    const COUNT: usize = 2_000_000;
    let yield_often = || async {
        for _ in 0..COUNT / 2 {
            yield_now().await;
        }
    };
    let began = clock();
    let other = spawn(yield_often());
    yield_often().await;
    other.await.unwrap();
    report(began, COUNT);
}

async fn spawn_group(count: usize) {
    let mut handles = Vec::with_capacity(count);
    for _ in 0..count {
        handles.push(spawn(async {}));
    }
    for handle in handles {
        handle.await.unwrap();
    }
}

async fn spawns(count: usize) {
    let rounds = 500_000 / count;
    spawn_group(count).await;
    let began = clock();
    for _ in 0..rounds {
        spawn_group(count).await;
    }
    report(began, rounds * count);
}

async fn handovers() {
    const COUNT: usize = 500_000;
    // The smallest there is: tokio has no rendezvous.
    let (there, mut asked) = mpsc::channel::<usize>(1);
    let (answer, mut back) = mpsc::channel::<usize>(1);
    let other = spawn(async move {
        while let Some(item) = asked.recv().await {
            answer.send(item).await.unwrap();
        }
    });
    let began = clock();
    for i in 0..COUNT {
        there.send(i).await.unwrap();
        assert_eq!(back.recv().await, Some(i));
    }
    report(began, 2 * COUNT);
    drop(there);
    other.await.unwrap();
}

async fn cancel_group(count: usize) {
    let mut handles = Vec::with_capacity(count);
    for _ in 0..count {
        handles.push(spawn(pending::<()>()));
    }
    yield_now().await;
    for handle in &handles {
        handle.abort();
    }
    for handle in handles {
        handle.await.unwrap_err();
    }
}

async fn cancels(count: usize) {
    let rounds = 300_000 / count;
    cancel_group(count).await;
    let began = clock();
    for _ in 0..rounds {
        cancel_group(count).await;
    }
    report(began, rounds * count);
}

/// xorshift
fn within(state: &mut u64, most: Duration) -> Duration {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    Duration::from_nanos(*state % most.as_nanos() as u64)
}

/// A timer is set by its first poll and cancelled by dropping it.
fn set(timer: Pin<&mut Sleep>) {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(std::future::Future::poll(timer, &mut context).is_pending());
}

async fn timers(count: usize) {
    const SET: usize = 1_000_000;
    let minute = Duration::from_secs(60);
    let mut state = 88172645463325252u64;
    let mut kept = Vec::with_capacity(count);
    for _ in 0..count {
        let mut timer = Box::pin(sleep(Duration::from_secs(1) + within(&mut state, minute)));
        set(timer.as_mut());
        kept.push(timer);
    }
    let began = clock();
    for _ in 0..SET {
        let timer = sleep(Duration::from_millis(1) + within(&mut state, minute));
        tokio::pin!(timer);
        set(timer);
    }
    report(began, SET);
}

/// Bytes of our own memory and of the page tables that map it.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kib = |line: &str| line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap();
    let counted = |line: &&str| line.starts_with("RssAnon:") || line.starts_with("VmPTE:");
    status.lines().filter(counted).map(kib).sum::<usize>() * 1024
}

async fn parked(count: usize) {
    let before = memory();
    for _ in 0..count {
        spawn(pending::<()>());
    }
    yield_now().await;
    println!("{} {}", (memory() - before) / count, count);
}

async fn threads() {
    const COUNT: usize = 20_000;
    spawn_blocking(|| {}).await.unwrap();
    let began = Instant::now();
    for _ in 0..COUNT {
        spawn_blocking(|| {}).await.unwrap();
    }
    println!("{:.2}", began.elapsed().as_nanos() as f64 / COUNT as f64);
}

async fn converse(mut stream: tokio::net::TcpStream) {
    let mut buffer = vec![0u8; 64 << 10];
    loop {
        match stream.read(&mut buffer).await {
            Ok(n) if n > 0 => {
                if stream.write_all(&buffer[..n]).await.is_err() {
                    return;
                }
            }
            _ => return,
        }
    }
}

async fn echo() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        spawn(converse(stream));
    }
}

async fn run(what: String, count: usize) {
    match what.as_str() {
        "switch" => { // twice, and the last line counts: the first is warm-up
            switches().await;
            switches().await
        }
        "spawn" => spawns(count).await,
        "handover" => {
            handovers().await;
            handovers().await
        }
        "cancel" => cancels(count).await,
        "timers" => timers(count).await,
        "parked" => parked(count).await,
        "thread" => threads().await,
        "echo" => echo().await,
        _ => std::process::exit(2),
    }
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let count = words.get(2).map_or(0, |word| word.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // In a task of its own: block_on's own future is woken another way.
    runtime.block_on(async { spawn(run(words[1].clone(), count)).await.unwrap() });
    std::process::exit(0);
}
