// The measures of bench/runtime in Node: promises, timers, sockets.
import { readFileSync } from 'node:fs'
import net from 'node:net'

// Time of the processor, as everywhere for what only computes.
const clock = () => { const { user, system } = process.cpuUsage(); return (user + system) * 1000 }
const report = (began, count) => console.log(((clock() - began) / count).toFixed(2))
const nothing = async () => { await null }

async function switches () {
  const count = 2000000
  const often = async () => { for (let i = 0; i < count / 2; i++) await null }
  const began = clock()
  await Promise.all([often(), often()])
  report(began, count)
}

async function spawnGroup (count) {
  const tasks = []
  for (let i = 0; i < count; i++) tasks.push(nothing())
  await Promise.all(tasks)
}

async function rounds (group, total, count) {
  await group(count)
  const began = clock()
  for (let i = 0; i < total / count; i++) await group(count)
  report(began, total)
}

// A rendezvous.
class Channel {
  senders = []
  receivers = []
  send (item) {
    if (this.receivers.length > 0) return Promise.resolve(this.receivers.shift()(item))
    return new Promise(resolve => this.senders.push([item, resolve]))
  }

  receive () {
    if (this.senders.length === 0) return new Promise(resolve => this.receivers.push(resolve))
    const [item, resolve] = this.senders.shift()
    resolve()
    return Promise.resolve(item)
  }
}

async function handovers () {
  const count = 500000
  const there = new Channel()
  const back = new Channel()
  const answer = async () => { for (let i = 0; i < count; i++) await back.send(await there.receive()) }
  const answering = answer()
  const began = clock()
  for (let i = 0; i < count; i++) {
    await there.send(i)
    if (await back.receive() !== i) throw new Error('another item')
  }
  report(began, 2 * count)
  await answering
}

async function timers (pending) {
  const count = 1000000
  const within = () => 1 + Math.floor(Math.random() * 60000)
  for (let i = 0; i < pending; i++) setTimeout(nothing, 1000 + within())
  const began = clock()
  for (let i = 0; i < count; i++) clearTimeout(setTimeout(nothing, within()))
  report(began, count)
}

// Bytes of our own memory and of the page tables that map it.
function memory () {
  const status = readFileSync('/proc/self/status', 'utf8')
  return [...status.matchAll(/^(?:RssAnon|VmPTE):\s+(\d+)/gm)].reduce((sum, found) => sum + found[1] * 1024, 0)
}

async function parked (count) {
  const before = memory()
  const waiting = []
  const wait = async () => { await new Promise(resolve => waiting.push(resolve)) }
  for (let i = 0; i < count; i++) wait()
  await null
  console.log(((memory() - before) / count).toFixed(0), waiting.length)
}

function echo () {
  const server = net.createServer({ noDelay: true }, stream => {
    stream.on('data', data => stream.write(data))
    stream.on('error', () => {})
  })
  server.listen(0, '127.0.0.1', () => console.log(server.address().port))
  return new Promise(() => {})
}

// The last line counts: this is the warm round of those that have none inside.
const twice = measure => async () => { await measure(); await measure() }

const [what, count] = [process.argv[2], Number(process.argv[3] ?? 0)]
const measures = {
  switch: twice(switches),
  spawn: () => rounds(spawnGroup, 1000000, count),
  handover: twice(handovers),
  timers: () => timers(count),
  parked: () => parked(count),
  echo
}
await measures[what]()
process.exit(0)
