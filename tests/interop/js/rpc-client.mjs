// Drives the stock kubo-rpc-client against an API.
//
//   rpc-client.mjs API_URL [MULTIADDR]    also connects to MULTIADDR when it is given
//
// Prints {results: {name: ...}} and exits 0, or {failed, error} for the first that is wrong and
// exits 1.
import assert from 'node:assert/strict'
import { create } from 'kubo-rpc-client'
import { multiaddr } from '@multiformats/multiaddr'
import { say } from './common.mjs'

const [url, peer] = process.argv.slice(2)
const client = create({ url })
const small = Buffer.from('a file of one line\n')
const large = Buffer.alloc(3 * 1024 * 1024 + 17)
for (let i = 0; i < large.length; i++) {
	large[i] = (i * 2654435761) >>> 24
}

async function gather (source) {
	const chunks = []
	for await (const chunk of source) {
		chunks.push(chunk)
	}
	return Buffer.concat(chunks)
}

// The regular files of a TAR stream: {name: bytes}.
function untar (bytes) {
	const files = {}
	for (let at = 0; at + 512 <= bytes.length && bytes[at] !== 0;) {
		const text = (from, to) => bytes.toString('utf8', at + from, at + to).replace(/\0.*$/s, '')
		const size = parseInt(text(124, 136), 8)
		if ((text(156, 157) || '0') === '0') {
			files[text(0, 100)] = bytes.subarray(at + 512, at + 512 + size)
		}
		at += 512 + Math.ceil(size / 512) * 512
	}
	return files
}

const steps = {
	async id () {
		const { id, addresses, agentVersion } = await client.id()
		assert.ok(addresses.length > 0)
		return { id: id.toString(), agentVersion, addresses: addresses.map(String) }
	},
	async add () {
		const added = await client.add(large, { cidVersion: 1 })
		assert.ok(added.size >= large.length)
		return { cid: added.cid.toString(), size: added.size }
	},
	async addAll () {
		const files = [{ path: 'dir/small', content: small }, { path: 'dir/sub/large', content: large }]
		const added = []
		for await (const entry of client.addAll(files)) {
			added.push([entry.path, entry.cid.toString()])
		}
		assert.deepEqual(added.map(([path]) => path).sort(),
			['dir', 'dir/small', 'dir/sub', 'dir/sub/large'])
		return Object.fromEntries(added)
	},
	async cat ({ add }) {
		assert.ok(large.equals(await gather(client.cat(add.cid))))
		const part = await gather(client.cat(add.cid, { offset: 1048575, length: 3 }))
		assert.ok(large.subarray(1048575, 1048578).equals(part))
		return { bytes: large.length }
	},
	async get ({ addAll }) {
		const files = untar(await gather(client.get(addAll.dir)))
		assert.deepEqual(Object.keys(files).sort(),
			[`${addAll.dir}/small`, `${addAll.dir}/sub/large`])
		assert.ok(small.equals(files[`${addAll.dir}/small`]))
		assert.ok(large.equals(files[`${addAll.dir}/sub/large`]))
		return { files: 2 }
	},
	async unknown () {
		await assert.rejects(gather(client.cat('bafynotacid')), { name: 'HTTPError' })
		return {}
	},
	async swarm () {
		if (peer != null) {
			await client.swarm.connect(multiaddr(peer))
		}
		const peers = await client.swarm.peers()
		const ids = peers.map(one => one.peer.toString())
		assert.ok(peer == null || ids.includes(peer.split('/').at(-1)))
		return { peers: ids }
	},
	async repoStat () {
		const { numObjects, repoSize, repoPath, version } = await client.repo.stat()
		assert.ok(numObjects > 0n && repoSize > 0n && repoPath !== '')
		return { numObjects: Number(numObjects), repoSize: Number(repoSize), repoPath, version }
	}
}

const results = {}
for (const [name, step] of Object.entries(steps)) {
	try {
		results[name] = await step(results)
	} catch (error) {
		say({ failed: name, error: String(error.stack ?? error) })
		process.exit(1)
	}
}
say({ results })
process.exit(0)
