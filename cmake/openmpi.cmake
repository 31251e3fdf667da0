# Where the Open MPI that is here keeps its components; empty: not known.
find_program(REX_OMPI_INFO ompi_info)
set(REX_OPENMPI_COMPONENTS "")
if(REX_OMPI_INFO)
  execute_process(COMMAND ${REX_OMPI_INFO} --path pkglibdir --parsable OUTPUT_VARIABLE said
                  ERROR_QUIET TIMEOUT 20)
  if(said MATCHES "path:pkglibdir:([^\n]+)")
    set(REX_OPENMPI_COMPONENTS "${CMAKE_MATCH_1}")
  endif()
endif()
