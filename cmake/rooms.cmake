# A room is one library target in one folder. Edges between rooms go one way only: the table below
# is the whole of it, and configuring fails on any other edge. docs/design.md explains the order.
set(REX_EDGES_base "")
set(REX_EDGES_observe base)
set(REX_EDGES_topology base)
set(REX_EDGES_template_proto "")
set(REX_EDGES_elf base)
set(REX_EDGES_template_client base elf template_proto)
set(REX_EDGES_policy base)
set(REX_EDGES_wire base policy)
set(REX_EDGES_link base)
set(REX_EDGES_ship base)
set(REX_EDGES_tree base link ship)
set(REX_EDGES_image base elf)
set(REX_EDGES_store base image)
set(REX_EDGES_staging base link tree image store)
set(REX_EDGES_sched base topology policy)
set(REX_EDGES_load base)
set(REX_EDGES_pmix_proto base)
set(REX_EDGES_pmix_client base pmix_proto)
set(REX_EDGES_pmix_host base pmix_proto topology)
set(REX_EDGES_exchange base sched pmix_proto)
set(REX_EDGES_lease base)
set(REX_EDGES_keeper base lease)
set(REX_EDGES_part base wire sched policy)
set(REX_EDGES_ranks base lease policy wire part sched topology pmix_proto template_proto template_client)
set(REX_EDGES_job base observe policy wire part sched pmix_proto)
set(REX_EDGES_agent base lease load observe policy wire link tree image store staging part exchange ranks job sched topology pmix_proto
    pmix_client template_client)
set(REX_EDGES_cli base policy wire observe)

add_library(rex_flags INTERFACE)
target_include_directories(rex_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/generated)
target_compile_definitions(rex_flags INTERFACE _GNU_SOURCE REX_VERSION="${PROJECT_VERSION}")
target_compile_options(rex_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor
                       $<$<COMPILE_LANGUAGE:CXX>:-Woverloaded-virtual> -Wno-missing-field-initializers
                       -Werror -fvisibility=hidden -fstack-protector-strong)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # False alarms on std::string operator+ (gcc bug 105651, mended in 13) and on moved std::variants.
  target_compile_options(rex_flags INTERFACE -Wno-restrict -Wno-maybe-uninitialized)
endif()
if(REX_SANITIZE)
  target_compile_options(rex_flags INTERFACE -fsanitize=${REX_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all)
  target_link_options(rex_flags INTERFACE -fsanitize=${REX_SANITIZE})
else()
  target_link_options(rex_flags INTERFACE -static-libstdc++ -static-libgcc -Wl,-z,relro,-z,now)
endif()
if(REX_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "REX_FUZZ needs clang and its compiler-rt: cmake --preset fuzz")
  endif()
  target_compile_options(rex_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
# clang needs to be told that options for the linker and the standard library may go unused.
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(rex_flags INTERFACE -Wno-unused-command-line-argument
                         -Wno-gnu-zero-variadic-macro-arguments)
endif()

function(rex_check_edges room)
  foreach(dep IN LISTS ARGN)
    if(NOT dep IN_LIST REX_EDGES_${room})
      message(FATAL_ERROR "room '${room}' must not depend on room '${dep}' "
              "(allowed: ${REX_EDGES_${room}}); see cmake/rooms.cmake and docs/design.md")
    endif()
  endforeach()
endfunction()

# rex_room(NAME [SOURCES f...] [PROTOS p...] [ROOMS r...] [LIBS l...])
# Makes the library rex_NAME. ROOMS are other rooms it may include and link; LIBS are outside ones.
function(rex_room room)
  cmake_parse_arguments(R "" "" "SOURCES;PROTOS;ROOMS;LIBS" ${ARGN})
  if(NOT DEFINED REX_EDGES_${room})
    message(FATAL_ERROR "room '${room}' is missing from the table in cmake/rooms.cmake")
  endif()
  rex_check_edges(${room} ${R_ROOMS})
  set(rooms ${R_ROOMS})
  list(TRANSFORM rooms PREPEND rex_)
  if(R_SOURCES OR R_PROTOS)
    add_library(rex_${room} STATIC ${R_SOURCES})
    set(scope PUBLIC)
  else()
    add_library(rex_${room} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_link_libraries(rex_${room} ${scope} rex_flags ${rooms} ${R_LIBS})
  foreach(proto IN LISTS R_PROTOS)
    rex_add_proto(rex_${room} ${proto})
  endforeach()
endfunction()

# Generated protobuf code is compiled without our warnings: we do not own its style.
function(rex_add_proto target proto)
  file(RELATIVE_PATH rel ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR}/${proto})
  string(REGEX REPLACE "\\.proto$" "" stem ${rel})
  set(out ${PROJECT_BINARY_DIR}/generated/${stem}.pb)
  add_custom_command(
    OUTPUT ${out}.cc ${out}.h
    COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/generated
    COMMAND ${REX_PROTOC} -I ${PROJECT_SOURCE_DIR} --cpp_out=lite:${PROJECT_BINARY_DIR}/generated
            ${PROJECT_SOURCE_DIR}/${rel}
    DEPENDS ${PROJECT_SOURCE_DIR}/${rel} VERBATIM)
  target_sources(${target} PRIVATE ${out}.cc ${out}.h)
  set_source_files_properties(${out}.cc PROPERTIES COMPILE_OPTIONS "-w" SKIP_LINTING ON)
  target_link_libraries(${target} PUBLIC rex_dep_protobuf)
endfunction()

# The build tree has the layout of the installed one, so programs find each other the same way.
set(REX_BIN_DIR ${PROJECT_BINARY_DIR}/bin)
set(REX_LIBEXEC_REL libexec/rex)
set(REX_LIBEXEC_DIR ${PROJECT_BINARY_DIR}/${REX_LIBEXEC_REL})

# rex_program(NAME MAIN main.cc ROOMS r... [LIBS l...] [PRIVATE_PROGRAM])
# PRIVATE_PROGRAM: not typed by users; goes to libexec/rex.
function(rex_program name)
  cmake_parse_arguments(P "PRIVATE_PROGRAM" "MAIN" "ROOMS;LIBS" ${ARGN})
  set(rooms ${P_ROOMS})
  list(TRANSFORM rooms PREPEND rex_)
  add_executable(${name} ${P_MAIN})
  target_link_libraries(${name} PRIVATE rex_flags ${rooms} ${P_LIBS})
  if(P_PRIVATE_PROGRAM)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${REX_LIBEXEC_DIR})
    install(TARGETS ${name} RUNTIME DESTINATION ${REX_LIBEXEC_REL})
  else()
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${REX_BIN_DIR})
    install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endfunction()
