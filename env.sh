# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# source env.sh -- after `make build`: the venv, the ROS 2 wheels in it and the colcon install, in this shell.
# Not for a machine where a ROS 2 distribution is sourced: use its own install/setup.bash there.

KPCONV_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")" && pwd)"
_venv="${KPCONV_VENV:-$KPCONV_ROOT/.venv}"
if [ ! -x "$_venv/bin/python" ]; then
  echo "no Python in $_venv: run make build first" >&2
  return 1
fi
_overlay="$KPCONV_ROOT/install/kpconv_ros"
_python="$("$_venv/bin/python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')"

export VIRTUAL_ENV="$_venv"
case ":$PATH:" in *":$_venv/bin:"*) ;; *) export PATH="$_venv/bin:$PATH" ;; esac

# Set, not appended to: the wheels and a sourced distribution do not mix.
export AMENT_PREFIX_PATH="$_overlay:$_venv"
export CMAKE_PREFIX_PATH="$_overlay:$_venv"
# The source tree first, so that an edit or a new file is live without a build; the install gives the messages.
export PYTHONPATH="$KPCONV_ROOT:$_overlay/lib/$_python/site-packages"

# With the libraries found by the loader, the wheels need not start every Python process a second time.
_libs="$_overlay/lib:$_venv/lib"
for _dir in "$_venv/lib/$_python/site-packages"/ros_*.libs; do
  [ -d "$_dir" ] && _libs="$_libs:$_dir"
done
case ":${LD_LIBRARY_PATH:-}:" in
  *":$_overlay/lib:"*) ;;
  *) export LD_LIBRARY_PATH="$_libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" ;;
esac
export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1

# A cloud of 2 MB does not fit the default shared-memory segment of Fast DDS (512 kB). FASTRTPS_... is the older name.
if [ -z "${FASTDDS_DEFAULT_PROFILES_FILE:-}${FASTRTPS_DEFAULT_PROFILES_FILE:-}" ]; then
  export FASTDDS_DEFAULT_PROFILES_FILE="$KPCONV_ROOT/config/fastdds.xml"
fi
# OpenMP threads that spin between two layers take the cores from the node's other threads.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"

unset _venv _overlay _python _libs _dir
