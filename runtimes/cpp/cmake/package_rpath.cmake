# Run by CPack on what it is about to pack: another machine has none of the folders in which the build found a runtime.
# In a .deb, the tool finds the library where all are; elsewhere it looks beside itself.
file(GLOB_RECURSE libraries "${CPACK_TEMPORARY_INSTALL_DIRECTORY}/libsam3i_edge.so.*")
file(GLOB_RECURSE programs "${CPACK_TEMPORARY_INSTALL_DIRECTORY}/sam3i-segment")
if(CPACK_GENERATOR STREQUAL "DEB")
  list(APPEND libraries ${programs})
endif()
foreach(file IN LISTS libraries)
  if(NOT IS_SYMLINK "${file}")
    file(RPATH_REMOVE FILE "${file}")
  endif()
endforeach()
