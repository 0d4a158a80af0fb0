using VhdCore.Testing.Crash;

namespace VhdCore.Simulation;

/// <summary>Says what a step of the leaf's file is for, by where it writes and what.</summary>
internal sealed class PhaseClassifier(CutReader layout)
{
    private bool _tablesWritten; // since the last flush

    public CutPhase Classify(CrashStep step, Func<int, byte[]?> cellAt)
    {
        switch (step.Kind)
        {
            case CrashStepKind.FlushStarting:
                return _tablesWritten ? CutPhase.Commit : CutPhase.Barrier;

            case CrashStepKind.Flushed:
                _tablesWritten = false;
                return CutPhase.Commit;

            case CrashStepKind.Punch:
                return CutPhase.Reuse;

            case CrashStepKind.Write:
                return ClassifyWrite(step, cellAt((int)(step.Offset / SectorOracle.SectorSize)));

            default:
                return CutPhase.Close;
        }
    }

    private CutPhase ClassifyWrite(CrashStep step, byte[]? content)
    {
        if (step.Offset >= layout.TableOffset && step.Offset < layout.TableEnd)
        {
            _tablesWritten = true;
            return CutPhase.Tables;
        }

        if (content is null || content.AsSpan().StartsWith("conectix"u8))
        {
            return CutPhase.Reserve;
        }

        if (step.Length == layout.BitmapSize && !content.AsSpan(SimulationPlan.BlockSize / SectorOracle.SectorSize / 8).ContainsAnyExcept((byte)0, (byte)0xFF))
        {
            // A bitmap: nothing but the fresh patterns and real bits in its first bytes.
            var bits = content[0];
            _tablesWritten |= bits is not (0 or 0xFF);
            return bits is 0 or 0xFF ? CutPhase.Reserve : CutPhase.Tables;
        }

        return content.AsSpan().ContainsAnyExcept((byte)0) ? CutPhase.Payload : CutPhase.Reuse;
    }
}
