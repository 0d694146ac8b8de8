module ipfs-kit/bench/peers/go

go 1.21
