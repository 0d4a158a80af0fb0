using System.Runtime.InteropServices;

namespace VhdCore.Primitives;

/// <summary>One run of native memory, laid out as POSIX <c>struct iovec</c> so that a list of them can be handed to the kernel as it is.</summary>
/// <param name="Address">Where the run begins.</param>
/// <param name="Length">Bytes in the run; never negative.</param>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct IoVec(nint Address, nint Length);
