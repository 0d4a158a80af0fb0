namespace VhdService.HyperV;

/// <summary>What CPUID answers for one function.</summary>
/// <param name="Function">EAX as the guest sets it.</param>
/// <param name="Eax">The answer's EAX.</param>
/// <param name="Ebx">The answer's EBX.</param>
/// <param name="Ecx">The answer's ECX.</param>
/// <param name="Edx">The answer's EDX.</param>
public readonly record struct CpuidLeaf(uint Function, uint Eax, uint Ebx, uint Ecx, uint Edx);
