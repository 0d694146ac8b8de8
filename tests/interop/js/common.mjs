// What our programs share: the plain libp2p node, and lines in and out.
import readline from 'node:readline'
import { tcp } from '@libp2p/tcp'
import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'

// TCP, Noise and Yamux on loopback and nothing else: no discovery, no routing, no relay. The monitor
// is off because its pings, queued behind a bulk transfer on a busy machine, end the connection.
export function libp2pOptions () {
	return {
		addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
		transports: [tcp()],
		connectionEncrypters: [noise()],
		streamMuxers: [yamux()],
		connectionMonitor: { enabled: false },
		services: { identify: identify(), ping: ping() }
	}
}

export function say (value) {
	process.stdout.write(JSON.stringify(value) + '\n')
}

export function inputLines () {
	return readline.createInterface({ input: process.stdin })
}
