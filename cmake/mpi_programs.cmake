# MPI programs are users' programs: built with Open MPI's own compiler wrappers, never with our
# sanitizers or link options.
find_program(REX_MPICC NAMES mpicc.openmpi mpicc REQUIRED)
find_program(REX_MPICXX NAMES mpicxx.openmpi mpicxx REQUIRED)
find_program(REX_MPIFORT NAMES mpifort.openmpi mpifort)
find_program(REX_MPICC_MPICH NAMES mpicc.mpich)  # only a peer of the benchmarks needs it

# rex_mpi_program(NAME SOURCE f [COMPILER c] [FLAGS f...]): NAME in the current binary directory,
# built with ALL. The compiler follows from the source's suffix. Left out, with a word, without one.
function(rex_mpi_program name)
  cmake_parse_arguments(P "" "SOURCE;COMPILER" "FLAGS" ${ARGN})
  get_filename_component(suffix ${P_SOURCE} LAST_EXT)
  set(flags -O2 -Wall -Wextra -Werror)
  if(P_COMPILER)
    set(compiler ${P_COMPILER})
  elseif(suffix STREQUAL ".f90")
    set(compiler ${REX_MPIFORT})
    set(flags -O2 -Wall -Werror)
  elseif(suffix STREQUAL ".cc")
    set(compiler ${REX_MPICXX})
    list(APPEND flags -DOMPI_SKIP_MPICXX)  # its old C++ bindings do not compile without warnings
  else()
    set(compiler ${REX_MPICC})
  endif()
  if(NOT compiler)
    message(STATUS "${name} is left out: no MPI compiler for ${P_SOURCE}")
    return()
  endif()
  set(program ${CMAKE_CURRENT_BINARY_DIR}/${name})
  add_custom_command(
    OUTPUT ${program}
    COMMAND ${compiler} ${flags} ${P_FLAGS} -o ${program} ${CMAKE_CURRENT_SOURCE_DIR}/${P_SOURCE}
            -lpthread
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${P_SOURCE} VERBATIM)
  # Not `name` itself: Ninja would see two rules for one path.
  add_custom_target(build_${name} ALL DEPENDS ${program})
  set_property(GLOBAL APPEND PROPERTY REX_MPI_PROGRAMS build_${name})
endfunction()
