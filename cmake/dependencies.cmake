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
# libevent: the static archive, or for a target with the property REX_SHARED_LIBEVENT the shared one,
# which it then has in common with libpmix.
find_library(REX_ARCHIVE_event_core NAMES libevent_core.a REQUIRED)
find_library(REX_SHARED_event_core NAMES libevent_core.so REQUIRED)
add_library(rex_dep_libevent INTERFACE)
target_link_libraries(rex_dep_libevent INTERFACE
  $<IF:$<BOOL:$<TARGET_PROPERTY:REX_SHARED_LIBEVENT>>,${REX_SHARED_event_core},${REX_ARCHIVE_event_core}>)
rex_static_package(rex_dep_protobuf protobuf-lite)
target_link_libraries(rex_dep_protobuf INTERFACE Threads::Threads)
rex_static_package(rex_dep_sodium sodium)
