# What is installed: the library, its headers, the tool, and what find_package and pkg-config look for; a .deb of it all.
include(CMakePackageConfigHelpers)

set(PACKAGE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/sam3i_edge")
install(TARGETS sam3i_edge EXPORT sam3i_edge LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(TARGETS sam3i-segment RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(DIRECTORY include/ DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(EXPORT sam3i_edge NAMESPACE sam3i_edge:: FILE sam3i_edge-targets.cmake DESTINATION "${PACKAGE_DIR}")
# Relative to what is installed, which may then be moved; some distributions name folders in full.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" OR IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  set(TOOL_RPATH "${CMAKE_INSTALL_FULL_LIBDIR}")
  set(PC_PREFIX "${CMAKE_INSTALL_PREFIX}")
  set(PC_LIBDIR "${CMAKE_INSTALL_FULL_LIBDIR}")
  set(PC_INCLUDEDIR "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
else()
  file(RELATIVE_PATH UP_TO_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" /)
  set(TOOL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
  set(PC_PREFIX "\${pcfiledir}/${UP_TO_PREFIX}")
  set(PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
  set(PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
set_target_properties(sam3i-segment PROPERTIES INSTALL_RPATH "${TOOL_RPATH}")
# A runtime that is no system library is found where it was found at build time.
set_target_properties(sam3i_edge PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)

configure_package_config_file(cmake/sam3i_edge-config.cmake.in sam3i_edge-config.cmake INSTALL_DESTINATION "${PACKAGE_DIR}")
write_basic_package_version_file(sam3i_edge-config-version.cmake COMPATIBILITY SameMinorVersion)
configure_file(cmake/sam3i_edge.pc.in sam3i_edge.pc @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/sam3i_edge-config.cmake"
              "${CMAKE_CURRENT_BINARY_DIR}/sam3i_edge-config-version.cmake" DESTINATION "${PACKAGE_DIR}")
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/sam3i_edge.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME libsam3i-edge-dev)
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/${CPACK_PACKAGE_NAME}"
        RENAME copyright)  # under the name that Debian looks for
set(CPACK_PACKAGE_VENDOR sam3i-edge)
set(CPACK_PACKAGE_CONTACT sam3i-edge)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Runs SAM3-I bundles: instruction-following segmentation on the device at hand")
set(CPACK_RESOURCE_FILE_LICENSE "${PROJECT_SOURCE_DIR}/LICENSE")
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
# What it depends on is read from what was linked. A runtime that no package owns is looked for where the build found it,
# to be left out; on the device it comes from where the device's own are, or from LD_LIBRARY_PATH.
find_program(DPKG_SHLIBDEPS dpkg-shlibdeps)
mark_as_advanced(DPKG_SHLIBDEPS)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS "${CMAKE_CURRENT_BINARY_DIR}")
foreach(library IN LISTS BACKEND_LIBRARIES)
  get_target_property(file ${library} LOCATION)
  if(file)
    get_filename_component(folder "${file}" DIRECTORY)
    list(APPEND CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS "${folder}")
  endif()
endforeach()
if(NOT DPKG_SHLIBDEPS)
  message(STATUS "dpkg-shlibdeps is not here: a .deb would not say what it depends on (apt install dpkg-dev)")
endif()
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
if(CMAKE_CROSSCOMPILING AND CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
  set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE arm64)  # CPack would say that of this machine
endif()
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)  # whatever the umask
set(CPACK_PRE_BUILD_SCRIPTS "${CMAKE_CURRENT_SOURCE_DIR}/cmake/package_rpath.cmake")
include(CPack)
