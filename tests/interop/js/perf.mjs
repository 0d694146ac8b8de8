// The libp2p perf protocol, both ends.
//
//   perf.mjs serve                        prints {id, addrs}, ends when standard input does
//   perf.mjs dial MULTIADDR UP DOWN RUNS  prints {seconds: [...]}, a run each
import { createLibp2p } from 'libp2p'
import { multiaddr } from '@multiformats/multiaddr'
import { inputLines, libp2pOptions, say } from './common.mjs'

const PROTOCOL = '/perf/1.0.0'
const CHUNK = new Uint8Array(64 * 1024)

function writable (stream) {
	return new Promise((resolve, reject) => {
		const closed = () => reject(new Error('the stream closed while bytes were left to send'))
		if (stream.writeStatus === 'closed') {
			return closed()
		}
		stream.addEventListener('drain', resolve, { once: true })
		stream.addEventListener('close', closed, { once: true })
	})
}

async function send (stream, left) {
	for (; left > 0; left -= CHUNK.length) {
		const more = stream.send(left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK)
		if (!more) {
			await writable(stream)
		}
	}
	await stream.close()
}

// The first eight bytes, big-endian, are how much the dialler wants back once it has closed.
async function answer (stream) {
	let header = Buffer.alloc(0)
	for await (const chunk of stream) {
		if (header.length < 8) {
			header = Buffer.concat([header, chunk.subarray()])
		}
	}
	await send(stream, Number(header.readBigUInt64BE(0)))
}

async function run (connection, up, down) {
	const stream = await connection.newStream(PROTOCOL)
	const header = Buffer.alloc(8)
	header.writeBigUInt64BE(BigInt(down))
	let got = 0
	const reading = (async () => {
		for await (const chunk of stream) {
			got += chunk.byteLength
		}
	})()
	const began = performance.now()
	stream.send(header)
	await send(stream, up)
	await reading
	if (got !== down) {
		throw new Error(`${got} bytes came where ${down} were asked for`)
	}
	return (performance.now() - began) / 1e3
}

const [command, addr, up, down, runs] = process.argv.slice(2)
const node = await createLibp2p(libp2pOptions())
if (command === 'serve') {
	await node.handle(PROTOCOL, answer)
	say({ id: node.peerId.toString(), addrs: node.getMultiaddrs().map(String) })
	for await (const line of inputLines()) {
		say({ error: `no request is known: ${line}` })
	}
} else {
	const connection = await node.dial(multiaddr(addr))
	const seconds = []
	for (let i = 0; i < Number(runs); i++) {
		seconds.push(await run(connection, Number(up), Number(down)))
	}
	say({ seconds })
}
await node.stop()
process.exit(0)
