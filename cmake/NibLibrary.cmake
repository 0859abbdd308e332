# nib_add_library(name DIR... [EXCLUDE regex]): a C library of every .c file in the folders given. A new
# file in a room is found without editing any list.
function(nib_add_library name)
  set(sources)
  foreach(dir IN LISTS ARGN)
    file(GLOB found CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${dir}/*.c)
    list(APPEND sources ${found})
  endforeach()
  add_library(${name} STATIC ${sources})
  target_compile_options(${name} PRIVATE ${NIB_C_WARNINGS})
endfunction()
