# Every library rex is built on, found once, each behind one name. All come from Debian 12 packages
# (the `quickstart` script installs them). Libraries on the start-up path are linked statically:
# a launch execs four processes, and ld.so would be most of their time.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(HWLOC REQUIRED IMPORTED_TARGET hwloc)
pkg_check_modules(PMIX REQUIRED IMPORTED_TARGET pmix)

find_program(REX_PROTOC protoc REQUIRED)

# rex_static_package(NAME lib...): an interface target that links the static archives of `lib...`.
function(rex_static_package name)
  add_library(${name} INTERFACE)
  foreach(lib IN LISTS ARGN)
    find_library(REX_ARCHIVE_${lib} NAMES lib${lib}.a REQUIRED)
    target_link_libraries(${name} INTERFACE ${REX_ARCHIVE_${lib}})
  endforeach()
endfunction()
rex_static_package(rex_dep_libevent event_core)
rex_static_package(rex_dep_protobuf protobuf-lite)
target_link_libraries(rex_dep_protobuf INTERFACE Threads::Threads)
rex_static_package(rex_dep_sodium sodium)
