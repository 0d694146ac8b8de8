// A Helia node on loopback that speaks bitswap only, driven by lines of JSON.
//
//   helia-node.mjs [STORE_FOLDER]        blocks in memory without a folder
//
// The first line out is {id, addrs}. Each line in is one request, with the "seconds" it may take, and
// gets one line out, either the result or {error}:
//   {"do":"add","path":P,"profile":NAME}   -> {cid, seconds}
//   {"do":"connect","addr":MULTIADDR}      -> {}
//   {"do":"fetch","cid":C,"dest":P}        -> {bytes, seconds}   P must not exist; "" discards
//   {"do":"stat","cid":C}                  -> {type, size}
//   {"do":"memory"}                        -> {rss}
//   {"do":"slow","milliseconds":N}         -> {}       a block takes up to so long to be stored
//   {"do":"quit"}                          -> the process ends
import { setMaxListeners } from 'node:events'
import fs from 'node:fs'
import fsp from 'node:fs/promises'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Writable } from 'node:stream'
import { createHeliaLight } from 'helia'
import { withLibp2pLight } from '@helia/libp2p'
import { withBitswap } from '@helia/bitswap'
import { unixfs } from '@helia/unixfs'
import { FsBlockstore } from 'blockstore-fs'
import { MemoryBlockstore } from 'blockstore-core'
import { MemoryDatastore } from 'datastore-core'
import { importer } from 'ipfs-unixfs-importer'
import { exporter } from 'ipfs-unixfs-exporter'
import { CID } from 'multiformats/cid'
import { multiaddr } from '@multiformats/multiaddr'
import { inputLines, libp2pOptions, say } from './common.mjs'

const FILES_AT_ONCE = 32

// A store in files that takes its time when told to, as on a busy disk.
let slowness = 0
class FileStore extends FsBlockstore {
	async put (cid, block, options) {
		if (slowness > 0) {
			await new Promise(resolve => setTimeout(resolve, Math.random() * slowness))
		}
		return super.put(cid, block, options)
	}
}

function slow (helia, { milliseconds }) {
	slowness = milliseconds
	return {}
}

// Helia loses a want for a block that has come and is not in its store yet: whoever asks for it then
// joins the want that is about to be removed (addEntry in want-list.ts finds an entry whose cancel is
// set), which is never sent again and never answered: two files of the same bytes are enough. So while a
// block is being got, whoever wants it too waits for the same answer.
function askOnce (blockstore) {
	const running = new Map()
	async function gather (cid, options) {
		const chunks = []
		for await (const chunk of blockstore.get(cid, options)) {
			chunks.push(chunk)
		}
		return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)
	}
	return {
		async * get (cid, options) {
			const key = Buffer.from(cid.multihash.bytes).toString('base64')
			if (!running.has(key)) {
				running.set(key, gather(cid, options).finally(() => running.delete(key)))
			}
			yield running.get(key)
		}
	}
}

async function startNode (folder) {
	const blockstore = folder == null ? new MemoryBlockstore() : new FileStore(folder)
	if (folder != null) {
		await blockstore.open()
	}
	const light = createHeliaLight({ blockstore, datastore: new MemoryDatastore() })
	const helia = withBitswap(withLibp2pLight(light, libp2pOptions()))
	await helia.start()
	return helia
}

// What the importer takes, for a file, folder or symlink and everything below it.
async function * candidates (disk, name) {
	const stat = await fsp.lstat(disk)
	if (stat.isSymbolicLink()) {
		yield { path: name, link: await fsp.readlink(disk) }
	} else if (stat.isFile()) {
		yield { path: name, content: fs.createReadStream(disk, { highWaterMark: 1 << 20 }) }
	} else {
		yield { path: name }
		for (const entry of (await fsp.readdir(disk)).sort()) {
			yield * candidates(path.join(disk, entry), `${name}/${entry}`)
		}
	}
}

async function add (helia, { path: disk, profile = 'unixfs-v1-2025' }) {
	const began = performance.now()
	let root
	for await (const entry of importer(candidates(disk, 'root'), helia.blockstore, { profile })) {
		root = entry
	}
	return { cid: root.cid.toString(), seconds: (performance.now() - began) / 1e3 }
}

function sink (dest) {
	if (dest !== '') {
		return fs.createWriteStream(dest, { flags: 'wx' })
	}
	return new Writable({ write: (chunk, encoding, done) => done() })
}

// Writes what cid names to dest and returns the bytes of file content written.
async function write (cid, blockstore, dest, signal) {
	const entry = await exporter(cid, blockstore, { signal })
	if (entry.type === 'directory') {
		return writeFolder(entry, blockstore, dest, signal)
	}
	if (entry.unixfs?.type === 'symlink') {
		await fsp.symlink(Buffer.from(entry.unixfs.data), dest)
		return 0
	}
	let bytes = 0
	await pipeline(async function * () {
		for await (const chunk of entry.content({ signal })) {
			bytes += chunk.length
			yield chunk
		}
	}, sink(dest))
	return bytes
}

async function writeFolder (entry, blockstore, dest, signal) {
	await fsp.mkdir(dest)
	let bytes = 0
	const running = new Set()
	for await (const child of entry.entries({ signal })) {
		const one = write(child.cid, blockstore, path.join(dest, child.name), signal)
			.then(n => { bytes += n })
		running.add(one)
		one.finally(() => running.delete(one)).catch(() => {})
		if (running.size >= FILES_AT_ONCE) {
			await Promise.race(running)
		}
	}
	await Promise.all(running)
	return bytes
}

async function fetch (helia, { cid, dest, seconds }) {
	const began = performance.now()
	const signal = AbortSignal.timeout(seconds * 1e3)
	setMaxListeners(Infinity, signal)
	const bytes = await write(CID.parse(cid), askOnce(helia.blockstore), dest, signal)
	return { bytes, seconds: (performance.now() - began) / 1e3 }
}

async function stat (helia, { cid }) {
	const result = await unixfs(helia).stat(CID.parse(cid))
	return { type: result.type, size: Number(result.size) }
}

async function connect (helia, { addr }) {
	await helia.libp2p.dial(multiaddr(addr))
	return {}
}

const requests = { add, connect, fetch, slow, stat, memory: () => ({ rss: process.memoryUsage().rss }) }

const helia = await startNode(process.argv[2])
say({ id: helia.libp2p.peerId.toString(), addrs: helia.libp2p.getMultiaddrs().map(String) })
for await (const line of inputLines()) {
	const request = JSON.parse(line)
	if (request.do === 'quit') {
		break
	}
	try {
		say(await requests[request.do](helia, request))
	} catch (error) {
		say({ error: String(error.stack ?? error) })
	}
}
await helia.stop()
process.exit(0)
