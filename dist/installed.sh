#!/bin/sh
# After make install: what comes next. installed.sh BUILD PREFIX
libdir=$(sed -n "s|^libdir=\${prefix}|$2|p" "$1/meson-private/ipfskit.pc")
case $2 in
/usr | /usr/local) echo "installed in $2: 'ipfs-kit init' makes a repo" ;;
*)
	echo "installed in $2: put $2/bin on PATH; to build programs with the library: export PKG_CONFIG_PATH=$libdir/pkgconfig LD_LIBRARY_PATH=$libdir"
	;;
esac
