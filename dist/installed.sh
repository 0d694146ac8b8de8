#!/bin/sh
# After make install or install-anyio: what comes next. installed.sh BUILD PREFIX
config=$1/meson-private/ipfskit.pc next="'ipfs-kit init' makes a repo" path="put $2/bin on PATH; " man=
[ -f "$config" ] || config=$1/anyio/dist/anyio.pc next="'man anyio' is where to begin" path= man=" MANPATH=$2/share/man:"
libdir=$(sed -n "s|^libdir=\${prefix}|$2|p" "$config")
case $2 in
/usr | /usr/local) echo "installed in $2: $next" ;;
*)
	echo "installed in $2: ${path}to build programs with the library: export PKG_CONFIG_PATH=$libdir/pkgconfig LD_LIBRARY_PATH=$libdir$man"
	;;
esac
