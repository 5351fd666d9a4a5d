# What `sam build` runs for the layer, in a copy of shared/; ARTIFACTS_DIR is SAM's.
LAYER := $(dir $(lastword $(MAKEFILE_LIST)))
include $(LAYER)python313.mk

build-Shared:
	@$(REQUIRE_PYTHON313)
	"$(PYTHON313)" "$(LAYER)build.py" --machine $(MACHINE) --source "$(CURDIR)" --target "$(ARTIFACTS_DIR)/python"
