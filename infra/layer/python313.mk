# PYTHON313 is a Python 3.13, Lambda's runtime: byte-code is only good for the minor version that compiled it. The first
# that starts is taken; a shim of pyenv stands on the PATH, but does not start where another version is chosen.
PYTHON313 ?= $(shell for each in python3.13 "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.13*/bin/python3.13; do \
	"$$each" -c "" 2>/dev/null && { echo "$$each"; break; }; done)
REQUIRE_PYTHON313 = "$(PYTHON313)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null || { \
	echo "The layer is compiled for Lambda by Python 3.13, which was not found. Install it, or say where it is: make build PYTHON313=/path/to/python3.13" >&2; \
	exit 1; }
