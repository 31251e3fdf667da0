# Libraries whose constructor runs before every other one, libc's included. Not on rex_flags: neither
# sanitizers nor libstdc++ nor anything else may come into them; what they must not need is refused by
# the linker (-z defs), and of the template's by a test.
set(REX_PRELOAD_FLAGS -std=c++20 -O2 -ffreestanding -fno-builtin -nostdinc++ -fPIC -fno-exceptions
    -fno-rtti -fno-threadsafe-statics -fno-stack-protector
    -fvisibility=hidden -fno-asynchronous-unwind-tables -Wall -Wextra -Wshadow -Werror)
set(REX_PRELOAD_LINK -nostdlib -nostartfiles -Wl,-z,initfirst -Wl,-z,defs -Wl,-z,now -Wl,-z,relro
    -Wl,--as-needed -Wl,--no-undefined)

function(rex_preload target)
  add_library(${target} MODULE ${ARGN})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_options(${target} PRIVATE ${REX_PRELOAD_FLAGS})
  target_link_options(${target} PRIVATE ${REX_PRELOAD_LINK})
endfunction()
